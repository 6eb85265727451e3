"""One arm: a decoder of one setting is trained, and looked into at several moments.

The result is plain data, ready for JSON; what is not finite becomes None.
"""

from __future__ import annotations

import math
import platform
import time
from statistics import median
from typing import Any

import torch

from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.training.loop import device
from gpt4video.training.norms.config import Setting, TrainingConfig
from gpt4video.training.norms.measure import (
    Loss,
    angles,
    autocast,
    gradients,
    loss_on,
    removal,
    stream_figures,
    streams,
)
from gpt4video.training.norms.text import read_text

SPIKE = 5.0
"""A gradient norm so many times the median of the last fifty is a spike."""
GRADIENT_BATCHES = 2
"""Batches that gradient norms are averaged over."""
LOOKED_INTO = 10**6
"""Where the numbering of those batches starts: no step of the training has seen them."""
EVALUATED_AT_ONCE = 32
"""Held-out sequences in one forward pass."""


def rate_at(training: TrainingConfig, peak: float, step: int) -> float:
    """Learning rate of a step, counted from 0: a linear warm-up, then a cosine down to a tenth."""
    warmup = max(1, round(training.warmup * training.steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(1, training.steps - warmup)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * share)))


def run_arm(setting: Setting) -> dict[str, Any]:
    """Train and measure one setting."""
    started = time.monotonic()
    training, model_config = setting.training, setting.model
    text, where = read_text(setting.text), device()
    torch.manual_seed(setting.seed)
    model = BackboneForCausalLM(setting.backbone(text.vocabulary)).to(where)
    optimizer = torch.optim.Adam(model.parameters(), lr=setting.rate, fused=where.type == "cuda" or None)
    held_out = text.held_out(training.validation, model_config.context).to(where)
    batches = list(held_out.split(EVALUATED_AT_ONCE))

    def batch(step: int) -> torch.Tensor:
        return text.batch(setting.seed, step, training.batch, model_config.context).to(where)

    probes = [batch(LOOKED_INTO + i) for i in range(GRADIENT_BATCHES)]

    def look(share: float, step: int) -> dict[str, Any]:
        model.eval()
        with autocast(where, training.bf16):
            figures = {
                "share": share,
                "step": step,
                "validation": loss_on(model, batches),
                "gradients": gradients(model, probes),
                "stream": stream_figures(streams(model, batches[0])),
            }
        model.train()
        return figures

    due = {round(share * training.steps): share for share in training.moments}
    moments = [look(0.0, 0)]
    loss_of = Loss(model, training.bf16).recorded(batch(0))
    losses: list[float] = []
    norms: list[float] = []
    spikes, broke = 0, None
    for step in range(training.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(training, setting.rate, step)
        loss = loss_of(batch(step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), math.inf))
        losses.append(float(loss.detach()))
        if not (math.isfinite(norm) and math.isfinite(losses[-1])):
            broke = step
            break
        spikes += len(norms) >= 10 and norm > SPIKE * median(norms[-50:])
        norms.append(norm)
        optimizer.step()
        if step + 1 in due:
            moments.append(look(due[step + 1], step + 1))

    model.eval()
    with autocast(where, training.bf16):
        entered = streams(model, batches[0])
        angular = angles(entered)
        whole = loss_on(model, batches)
        without = removal(model, batches, whole)
    result = {
        "validation": None if broke is not None else whole,
        "unigram_entropy": text.unigram_entropy,
        "broke_at_step": broke,
        "spikes": spikes,
        "losses": losses[:: max(1, len(losses) // 100)],
        "moments": moments,
        "angles": angular,
        "removal": without,
        "parameters": sum(p.numel() for p in model.parameters()),
        "text": text.source,
        "device": torch.cuda.get_device_name() if where.type == "cuda" else platform.machine(),
        "torch": torch.__version__,
        "seconds": time.monotonic() - started,
    }
    finite: dict[str, Any] = _finite(result)
    return finite


def _finite(value: Any) -> Any:
    """The same data with None for numbers that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value
