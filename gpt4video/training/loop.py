"""One optimisation loop for every stage: resumable at any moment, and equal to never having stopped.

Everything random in step `n` comes from generators seeded by (seed, n), so the only state is the modules, the
optimizer, the average and the number of steps done. It is saved to one file, written beside and renamed.
For the same reason any process can make the batch of step `n`: with `workers`, others make them ahead.

    done = run(task, LoopConfig(steps=2000), Path("runs/vae"))
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from gpt4video.errors import InputError
from gpt4video.training import start

AHEAD = 4
"""Batches that each worker may be ahead."""


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast a stage learns."""

    steps: int = 1000
    """Optimizer steps in all."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    muon: bool = False
    """Whether the matrices of linear layers learn by Muon, which makes each step orthogonal (Jordan 2024), at
    the same rate: its steps are scaled to AdamW's size (arXiv 2502.16982). All else learns by AdamW. It
    multiplies in bfloat16: a step of many seconds on a processor without units for it."""
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
    minutes: float = 0.0
    """Ends after this long, if `steps` are not done before, and the rate falls by the clock: for a machine
    that is lent by the minute. Two such runs are not equal. 0 is no limit."""
    workers: int = 0
    """Processes that make batches; 0 makes them between the steps. An accelerator would wait for them."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.cooldown <= 1 or not 0 <= self.ema < 1:
            raise InputError(
                f"steps must be >= 1, cooldown in [0, 1] and ema in [0, 1), got {self.steps}, "
                f"{self.cooldown} and {self.ema}."
            )
        if self.minutes < 0 or self.workers < 0:
            raise InputError(f"minutes and workers must be >= 0, got {self.minutes:g} and {self.workers}.")

    def rate(self, step: int, spent: float = 0.0) -> float:
        """Learning rate of step `step`, counted from 0, after `spent` minutes: warm-up, a plateau, a fall."""
        fall = max(1, round(self.steps * self.cooldown))
        share = min(1.0, (step + 1) / max(1, self.warmup), (self.steps - step) / fall)
        if self.minutes and self.cooldown:
            share = min(share, (1 - spent / self.minutes) / self.cooldown)
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

    def batch(self, randomness: Randomness) -> Any:
        """What one step learns from, on the CPU; perhaps in another process, ahead of its turn."""
        ...

    def loss(self, batch: Any) -> tuple[Tensor, Mapping[str, float | Tensor]]:
        """The loss of one batch, and figures for the log."""
        ...


class _Batches(Dataset[Any]):
    """The batches of a run's steps."""

    def __init__(self, task: Task, seed: int, steps: range) -> None:
        self._task, self._seed, self._steps = task, seed, steps

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: int) -> Any:
        if index >= len(self):
            raise IndexError(index)  # which ends an iteration
        return self._task.batch(Randomness.of(self._seed, self._steps[index]))


def _batches(task: Task, config: LoopConfig, steps: range) -> Iterator[Any]:
    """The batches of these steps in their order, made by others where there are workers."""
    dataset = _Batches(task, config.seed, steps)
    if not config.workers or not steps:
        return iter(dataset[i] for i in range(len(dataset)))
    # Forked, workers have the task with all its clips at once; they must not touch an accelerator. Batches
    # come as bytes: tensors would take shared memory, of which a container has little.
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=config.workers,
        prefetch_factor=AHEAD,
        collate_fn=pickle.dumps,
        multiprocessing_context="fork",
    )
    return map(pickle.loads, loader)


@dataclass
class _Progress:
    """Speed and time left, over this run only."""

    total: int
    started: float = field(default_factory=time.monotonic)
    first: int = 0

    def line(self, step: int, figures: dict[str, float], limit: float) -> str:
        pace = (time.monotonic() - self.started) / max(1, step - self.first)
        left = max(0.0, min(pace * (self.total - step), limit))
        numbers = "  ".join(f"{k} {v:.4g}" for k, v in figures.items())
        return f"step {step}/{self.total}  {numbers}  {1 / pace:.2f} steps/s  {left / 60:.1f} min left"


def device() -> torch.device:
    """The accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def sent(tensor: Tensor) -> Tensor:
    """A tensor of a batch on the device, on its way there while the host goes on."""
    where = device()
    return tensor.pin_memory().to(where, non_blocking=True) if where.type == "cuda" else tensor


def _tell_what_is_slow(config: LoopConfig) -> None:
    """On a processor without units for bfloat16, what the config asks of it takes some ten times as long."""
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    units = ("avx512_bf16", "amx_bf16")
    if (
        (config.bf16 or config.muon)
        and able.get("architecture") == "x86_64"
        and not any(map(able.get, units))
    ):
        asked = " and ".join(name for name in ("bf16", "muon") if getattr(config, name))
        print(
            f"this processor has no units for bfloat16: a step is far quicker without {asked}",
            file=sys.stderr,
        )


def run(
    task: Task, config: LoopConfig, folder: Path, *, resume: bool = True, stop_at: int | None = None
) -> int:
    """Train until `config.steps` (or `stop_at`) steps are done, or its minutes spent; returns the steps done.

    SIGTERM and SIGINT save and leave with status 143 or 130; a `kill -9` loses at most the steps since the
    last checkpoint, and the resumed run is the same as one that was never killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start.into(task.modules, folder)
    parameters = [p for m in task.modules.values() for p in m.parameters() if p.requires_grad]
    kind = device().type
    if kind == "cpu":
        _tell_what_is_slow(config)
    torch.backends.cudnn.benchmark = True  # shapes come again and again
    optimizers = _optimizers(task.modules, config, fused=kind == "cuda")
    average = [p.detach().clone() for p in parameters] if config.ema else []
    path = folder / "state.pt"
    step, spent = _load(path, task, optimizers, average) if resume and path.exists() else (0, 0.0)
    end = min(config.steps, stop_at or config.steps)
    progress, saved = _Progress(config.steps, first=step), time.monotonic()
    began, before = saved, spent
    limit = config.minutes or math.inf
    seen: dict[str, list[float | Tensor]] = {}
    with _asked_to_stop() as stopping:
        for batch in _batches(task, config, range(step, end if spent < limit else step)):
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = config.rate(step, spent)
            with torch.autocast(kind, torch.bfloat16, enabled=config.bf16):
                loss, figures = task.loss(batch)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters, config.clip)
            waits = kind != "cuda" or config.muon
            for optimizer in optimizers if not waits or torch.isfinite(norm) else ():
                if not waits:  # as GradScaler tells it: the host need not wait for the device to know
                    optimizer.found_inf = (~torch.isfinite(norm)).float()
                optimizer.step()
            step += 1
            spent = before + (time.monotonic() - began) / 60
            if average:
                decay = min(config.ema, (step + 1) / (step + 10))
                torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
            for key, value in {"loss": loss.detach(), **figures}.items():
                seen.setdefault(key, []).append(value)
            if step % config.log_every == 0:
                means = {key: math.fsum(map(float, values)) / len(values) for key, values in seen.items()}
                print(progress.line(step, means, 60 * (limit - spent)), file=sys.stderr, flush=True)
                seen = {}
            ends = step == end or spent >= limit
            if stopping or ends or time.monotonic() - saved > config.save_seconds:
                _save(path, task, optimizers, average, step, spent)
                saved = time.monotonic()
            if stopping:
                raise SystemExit(128 + stopping[0])
            if ends:
                break
    if average and (step == config.steps or spent >= limit):
        with torch.no_grad():
            for mean, parameter in zip(average, parameters, strict=True):
                parameter.copy_(mean)
    return step


def _optimizers(
    modules: Mapping[str, nn.Module], config: LoopConfig, *, fused: bool
) -> list[torch.optim.Optimizer]:
    """AdamW; with `muon`, that for the matrices of linear layers, unless they are embeddings at once."""
    parts = [part for module in modules.values() for part in module.modules()]
    tied = {id(part.weight) for part in parts if isinstance(part, nn.Embedding)}
    hidden = {
        id(part.weight): part.weight
        for part in parts
        if config.muon and isinstance(part, nn.Linear) and id(part.weight) not in tied
    }
    rest = [p for module in modules.values() for p in module.parameters() if id(p) not in hidden]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.requires_grad and p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in rest if p.requires_grad and p.ndim < 2], "weight_decay": 0.0},
    ]
    rate = config.learning_rate
    adamw = torch.optim.AdamW(groups, lr=rate, betas=config.betas, fused=fused or None)
    matrices = [p for p in hidden.values() if p.requires_grad]
    if not matrices:
        return [adamw]
    decay = config.weight_decay
    return [adamw, torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")]


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


def _save(
    path: Path,
    task: Task,
    optimizers: list[torch.optim.Optimizer],
    average: list[Tensor],
    step: int,
    spent: float,
) -> None:
    state = {
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "average": average,
        "step": step,
        "spent": spent,
    }
    beside = path.with_suffix(".tmp")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _load(
    path: Path, task: Task, optimizers: list[torch.optim.Optimizer], average: list[Tensor]
) -> tuple[int, float]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    for mean, saved in zip(average, state["average"], strict=True):
        mean.copy_(saved)
    return int(state["step"]), float(state.get("spent", 0.0))


def count_parameters(module: nn.Module) -> float:
    """Millions of parameters."""
    return math.fsum(p.numel() for p in module.parameters()) / 1e6
