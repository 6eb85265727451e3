"""An engine's share of torch's threads is its own: nobody else computes with more or fewer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gpt4video.engine import TorchEngine
from gpt4video.engine.threads import compute_here_with
from gpt4video.errors import ConfigError
from gpt4video.messages import SamplingParams
from gpt4video.models import BackboneConfig, BackboneForCausalLM


@pytest.fixture
def model() -> BackboneForCausalLM:
    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    return BackboneForCausalLM(BackboneConfig(**sizes)).eval()


def threads_of_a_new_one() -> int:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(torch.get_num_threads).result()


async def test_an_engine_computes_with_its_own_number_and_others_with_theirs(model):
    before, heard = torch.get_num_threads(), []
    model.register_forward_pre_hook(lambda *_: heard.append(torch.get_num_threads()))
    engine = TorchEngine(model, threads=3)
    assert torch.get_num_threads() == threads_of_a_new_one() == before
    async for _ in engine.generate([1, 2, 3], SamplingParams(max_tokens=2)):
        pass
    engine.close()
    assert set(heard) == {3}


def test_engines_that_start_together_leave_the_number_of_others_alone():
    before = torch.get_num_threads()
    for _ in range(50):
        both = [threading.Thread(target=compute_here_with, args=(before + 1,)) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert threads_of_a_new_one() == before


def test_numbers_that_torch_does_not_take_are_refused(model):
    with pytest.raises(ConfigError, match="at least one, got 0"):
        TorchEngine(model, threads=0)
    with pytest.raises(ConfigError, match="torch does not compute with 1000000000000"):
        TorchEngine(model, threads=10**12)
