"""What the benchmark times is the same work on both sides."""

import time

import pytest
import torch

from benchmarks.backbone import language


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    monkeypatch.setattr(language, "SIZES", {"tiny": {**language.SIZES["embedded"], **sizes, **heads}})
    monkeypatch.setattr(language, "PROMPT", 8)
    monkeypatch.setattr(language, "NEW", 6)


def test_every_part_has_a_figure_for_both():
    found = language.eager(1, time.perf_counter)
    assert set(found) == {"prefill, eager, tiny", "decode, eager, tiny", "generate, eager, tiny"}
    assert all(set(variants) == {"llama", "ours"} for variants in found.values())


@torch.inference_mode()
def test_steps_over_a_static_cache_write_what_generate_writes():
    with torch.compiler.set_stance("force_eager"):
        for model in language.models(language.SIZES["tiny"]).values():
            written = language.generate(model)()[0, language.PROMPT :].tolist()
            assert language.loop(*language.static_step(model))() == written
            assert language.loop(*language.static_step(model))() == written
