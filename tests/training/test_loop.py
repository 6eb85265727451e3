"""The loop's promises: killed and resumed equals uninterrupted; rates warm up, stay and fall."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from gpt4video.errors import InputError
from gpt4video.training.loop import LoopConfig, Randomness, run


class Line:
    """Fit a line to points that every step draws anew."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.modules = {"model": self.model}

    def batch(self, randomness: Randomness):
        x = torch.from_numpy(randomness.numpy.standard_normal((16, 4))).float()
        return x, torch.randn(16, 1, generator=randomness.torch) * 0.1

    def loss(self, batch):
        x, noise = batch
        return ((self.model(x) - x.sum(1, keepdim=True) - noise) ** 2).mean(), {}


CONFIG = LoopConfig(steps=30, warmup=5, ema=0.9, log_every=10)
SCRIPT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from test_loop import CONFIG, Line
from gpt4video.training import loop
import dataclasses

class Slow(Line):
    def loss(self, batch):
        time.sleep(0.05)
        return super().loss(batch)

loop.run(Slow(), dataclasses.replace(CONFIG, save_seconds=0.0), Path({folder!r}))
"""


def weights(task: Line) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in task.model.parameters()])


@pytest.mark.parametrize("muon", [False, True])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, muon):
    config = replace(CONFIG, muon=muon)
    whole, halves = Line(), Line()
    run(whole, config, tmp_path / "whole")
    assert run(halves, config, tmp_path / "halves", stop_at=13) == 13
    fresh = Line()
    assert run(fresh, config, tmp_path / "halves") == 30
    assert torch.equal(weights(whole), weights(fresh))


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_loses_nothing_that_changes_the_result(tmp_path, kill):
    code = SCRIPT.format(here=os.path.dirname(__file__), folder=str(tmp_path / "killed"))  # noqa: PTH120
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    state = tmp_path / "killed" / "state.pt"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(kill)
    process.wait(60)
    done = torch.load(state, weights_only=True)["step"]
    assert 0 < done < 30, "the kill came in the middle"
    whole, fresh = Line(), Line()
    run(whole, CONFIG, tmp_path / "whole")
    run(fresh, CONFIG, tmp_path / "killed")
    assert torch.equal(weights(whole), weights(fresh))


class Words(nn.Module):
    """An embedding, tied to the head that gives its words back, and a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.hidden = nn.Embedding(6, 4), nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.hidden(self.table(ids))))


class Echo:
    """Say the same word again."""

    def __init__(self) -> None:
        self.modules = {"words": Words()}

    def batch(self, randomness: Randomness):
        return torch.from_numpy(randomness.numpy.integers(6, size=32))

    def loss(self, batch):
        return nn.functional.cross_entropy(self.modules["words"](batch), batch), {}


def test_muon_moves_a_hidden_matrix_by_an_orthogonal_step_and_no_embedding(tmp_path):
    config = LoopConfig(steps=1, learning_rate=0.1, warmup=0, cooldown=0.0, weight_decay=0.0)
    steps = {}
    for muon in (False, True):
        task = Echo()
        before = {name: p.detach().clone() for name, p in task.modules["words"].named_parameters()}
        run(task, replace(config, muon=muon), tmp_path / str(muon))
        steps[muon] = {n: p.detach() - before[n] for n, p in task.modules["words"].named_parameters()}
    assert torch.equal(steps[False]["table.weight"], steps[True]["table.weight"])
    stretch = torch.linalg.svdvals(steps[True]["hidden.weight"])
    assert stretch.max() < 2 * stretch.min(), "no direction is favoured, up to its five quick iterations"
    plain = torch.linalg.svdvals(steps[False]["hidden.weight"])
    assert plain.max() > 3 * plain.min()


def test_the_average_is_what_remains(tmp_path):
    task = Line()
    run(task, CONFIG, tmp_path)
    average = torch.load(tmp_path / "state.pt", weights_only=True)["average"]
    assert torch.equal(weights(task), torch.cat([a.flatten() for a in average]))


def test_a_finished_run_does_nothing_more(tmp_path):
    first, second = Line(), Line()
    run(first, CONFIG, tmp_path)
    run(second, CONFIG, tmp_path)
    assert torch.equal(weights(first), weights(second))


def test_rates_warm_up_stay_and_fall():
    config = LoopConfig(steps=100, learning_rate=1.0, warmup=10, cooldown=0.2)
    rates = [config.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:80] == [1.0] * 70
    assert rates[90] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.05)


def test_the_log_tells_loss_speed_and_time_left(tmp_path, capsys):
    run(Line(), CONFIG, tmp_path)
    line = capsys.readouterr().err.splitlines()[-1]
    assert "step 30/30" in line
    assert "loss" in line and "steps/s" in line and "min left" in line


def test_workers_make_the_same_batches(tmp_path):
    alone, helped = Line(), Line()
    run(alone, CONFIG, tmp_path / "alone")
    run(helped, replace(CONFIG, workers=2), tmp_path / "helped")
    assert torch.equal(weights(alone), weights(helped))


class Slow(Line):
    """A step takes at least 20 ms."""

    def loss(self, batch):
        time.sleep(0.02)
        return super().loss(batch)


def test_minutes_end_a_run_and_the_rate_falls_by_the_clock(tmp_path):
    config = replace(CONFIG, steps=10_000, minutes=0.01, cooldown=0.5)
    task = Slow()
    done = run(task, config, tmp_path)
    assert 0 < done < 60, "0.6 s hold no more than 30 such steps"
    average = torch.load(tmp_path / "state.pt", weights_only=True)["average"]
    assert torch.equal(weights(task), torch.cat([a.flatten() for a in average]))
    assert run(Slow(), config, tmp_path) == done, "its time is spent"
    assert config.rate(100, 0.004) == config.learning_rate
    assert config.rate(100, 0.0075) == pytest.approx(config.learning_rate / 2)


def test_impossible_numbers_are_refused():
    with pytest.raises(InputError, match="steps must be"):
        LoopConfig(steps=0)
    with pytest.raises(InputError, match="minutes and workers"):
        LoopConfig(workers=-1)
