"""The stage of CLIP, with its running averages: stopped and resumed is the same as never stopped."""

import pytest
import torch

from gpt4video.training import data
from gpt4video.training.data import Pool
from gpt4video.training.loop import LoopConfig, run
from gpt4video.training.stages.clip import ClipConfig, ClipTask

CONFIG = ClipConfig(
    width=4,
    layers=(1, 1, 1, 1),
    text_width=32,
    text_layers=1,
    batch=4,
    loop=LoopConfig(steps=4, warmup=1, cooldown=0.5, ema=0.5),
)


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 8)
    return Pool.make(tmp_path / "pool", "training", 8)


def test_a_stage_with_running_averages_resumes_exactly(tmp_path, pool):
    whole = ClipTask(CONFIG, pool)
    run(whole, CONFIG.loop, tmp_path / "whole")
    run(ClipTask(CONFIG, pool), CONFIG.loop, tmp_path / "parts", stop_at=2)
    resumed = ClipTask(CONFIG, pool)
    run(resumed, CONFIG.loop, tmp_path / "parts")
    wanted = whole.model.state_dict()
    assert any("running_var" in name for name in wanted), "the image tower keeps running averages"
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, wanted[name]), name
