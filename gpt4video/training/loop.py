"""One optimisation loop for every stage: resumable at any moment, and equal to never having stopped.

Everything random in step `n` comes from generators seeded by (seed, n), so the only state is the modules, the
optimizer, the average and the number of steps done. It is saved to one file, written beside and renamed.

    done = run(task, LoopConfig(steps=2000), Path("runs/vae"))
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gpt4video.errors import InputError
from gpt4video.training import start


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast a stage learns."""

    steps: int = 1000
    """Optimizer steps in all."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    warmup: int = 50
    """Steps of linear warm-up."""
    cooldown: float = 0.3
    """Share of the steps, at the end, in which the rate falls linearly to zero."""
    weight_decay: float = 0.01
    """Weight decay of matrices; vectors have none."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's averages."""
    clip: float = 1.0
    """Largest gradient norm."""
    ema: float = 0.0
    """Decay of the average of the weights that is shipped; 0 ships the weights themselves."""
    save_seconds: float = 60.0
    """Seconds between checkpoints."""
    log_every: int = 50
    """Steps between log lines."""
    seed: int = 0
    """Seed of everything."""
    bf16: bool = False
    """Forward passes in bfloat16 autocast; slower on processors without matrix units for it."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.cooldown <= 1 or not 0 <= self.ema < 1:
            raise InputError(
                f"steps must be >= 1, cooldown in [0, 1] and ema in [0, 1), got {self.steps}, "
                f"{self.cooldown} and {self.ema}."
            )

    def rate(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0: warm-up, a plateau, a linear fall."""
        fall = max(1, round(self.steps * self.cooldown))
        share = min(1.0, (step + 1) / max(1, self.warmup), (self.steps - step) / fall)
        return self.learning_rate * max(0.0, share)


@dataclass
class Randomness:
    """The generators of one step: `numpy` for data, `torch` for noise."""

    numpy: np.random.Generator
    torch: torch.Generator

    @classmethod
    def of(cls, seed: int, step: int, stream: int = 0) -> Randomness:
        """Generators that depend on these numbers alone."""
        numbers = np.random.default_rng([seed, step, stream])
        return cls(numbers, torch.Generator().manual_seed(int(numbers.integers(2**62))))


class Task(Protocol):
    """What a stage gives to the loop."""

    modules: dict[str, nn.Module]
    """What is trained; parameters without gradient are saved too but not changed."""

    def loss(self, randomness: Randomness, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of one step, and figures for the log."""
        ...


@dataclass
class _Progress:
    """Speed and time left, over this run only."""

    total: int
    started: float = field(default_factory=time.monotonic)
    first: int = 0

    def line(self, step: int, figures: dict[str, float]) -> str:
        pace = (time.monotonic() - self.started) / max(1, step - self.first)
        left = pace * (self.total - step)
        numbers = "  ".join(f"{k} {v:.4g}" for k, v in figures.items())
        return f"step {step}/{self.total}  {numbers}  {1 / pace:.2f} steps/s  {left / 60:.1f} min left"


def device() -> torch.device:
    """The accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def run(
    task: Task, config: LoopConfig, folder: Path, *, resume: bool = True, stop_at: int | None = None
) -> int:
    """Train until `config.steps` (or `stop_at`) steps are done; returns the number done.

    SIGTERM and SIGINT save and leave with status 143 or 130; a `kill -9` loses at most the steps since the
    last checkpoint, and the resumed run is the same as one that was never killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start.into(task.modules, folder)
    parameters = [p for m in task.modules.values() for p in m.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)
    average = [p.detach().clone() for p in parameters] if config.ema else []
    path = folder / "state.pt"
    step = _load(path, task, optimizer, average) if resume and path.exists() else 0
    end = min(config.steps, stop_at or config.steps)
    progress, saved = _Progress(config.steps, first=step), time.monotonic()
    seen: dict[str, list[float]] = {}
    kind = device().type
    with _asked_to_stop() as stopping:
        while step < end:
            for group in optimizer.param_groups:
                group["lr"] = config.rate(step)
            with torch.autocast(kind, torch.bfloat16, enabled=config.bf16):
                loss, figures = task.loss(Randomness.of(config.seed, step), step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters, config.clip)
            if torch.isfinite(norm):
                optimizer.step()
            step += 1
            decay = min(config.ema, (step + 1) / (step + 10))
            for mean, parameter in zip(average, parameters, strict=bool(average)):
                mean.lerp_(parameter.detach(), 1 - decay)
            for key, value in {"loss": float(loss.detach()), **figures}.items():
                seen.setdefault(key, []).append(value)
            if step % config.log_every == 0:
                means = {key: math.fsum(values) / len(values) for key, values in seen.items()}
                print(progress.line(step, means), file=sys.stderr, flush=True)
                seen = {}
            if stopping or step == end or time.monotonic() - saved > config.save_seconds:
                _save(path, task, optimizer, average, step)
                saved = time.monotonic()
            if stopping:
                raise SystemExit(128 + stopping[0])
    if average and step == config.steps:
        with torch.no_grad():
            for mean, parameter in zip(average, parameters, strict=True):
                parameter.copy_(mean)
    return step


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """A list that holds a signal's number once one has asked this process to stop."""
    received: list[int] = []
    old = {}
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            old[number] = signal.signal(number, lambda n, _frame: received.append(n))
    except ValueError:  # not in the main thread, as in a notebook's worker: signals stay as they are
        pass
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _save(path: Path, task: Task, optimizer: torch.optim.Optimizer, average: list[Tensor], step: int) -> None:
    state = {
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimizer": optimizer.state_dict(),
        "average": average,
        "step": step,
    }
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _load(path: Path, task: Task, optimizer: torch.optim.Optimizer, average: list[Tensor]) -> int:
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    optimizer.load_state_dict(state["optimizer"])
    for mean, saved in zip(average, state["average"], strict=True):
        mean.copy_(saved)
    return int(state["step"])


def count_parameters(module: nn.Module) -> float:
    """Millions of parameters."""
    return math.fsum(p.numel() for p in module.parameters()) / 1e6
