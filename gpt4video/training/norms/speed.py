"""LayerNorm, RMSNorm and CRMSNorm: that a Pre-LN model is the same function with each, and how fast each is.

Times are medians over paired rounds: in each round every variant runs once, in turn, so that whatever else
the machine does hits all of them alike. A ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.models.backbone_config import BackboneConfig
from gpt4video.models.clip import make_clip
from gpt4video.models.crmsnorm import Kind, convert_norms
from gpt4video.models.norms import CompressedNorm, RMSNorm
from gpt4video.training.loop import device
from gpt4video.training.norms.config import SpeedConfig

EQUALS: tuple[Kind, ...] = ("rmsnorm", "crmsnorm")
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def exactness() -> dict[str, dict[str, dict[str, float]]]:
    """Largest error over largest output, against the Pre-LN original: by model, kind and number format.

    Every parameter is drawn anew. In bfloat16 both the original (`layernorm`) and its rewritten forms are
    compared with the original in 32 bits.
    """
    pixels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    ids = torch.randint(0, 64, (4, 32), generator=torch.Generator().manual_seed(2))
    vision = {"image_size": 32, "patch_size": 8, "width": 96, "layers": 12, "head_width": 24}
    words = {"context_length": 32, "vocab_size": 64, "width": 96, "heads": 4, "layers": 12}
    clip = make_clip({"embed_dim": 48, "vision_cfg": vision, "text_cfg": words})
    decoder = BackboneConfig(
        vocab_size=64, hidden_size=96, num_hidden_layers=12, norm_placement="pre", norm_kind="layernorm"
    )
    models: dict[str, tuple[nn.Module, Callable[[Any, torch.dtype], Tensor]]] = {
        "CLIP image tower": (clip, lambda model, dtype: model.encode_image(pixels.to(dtype))),
        "CLIP text tower": (clip, lambda model, dtype: model.encode_text(ids)),
        "decoder": (BackboneForCausalLM(decoder), lambda model, dtype: model(input_ids=ids).logits),
    }
    return {name: _errors(_redrawn(model.eval()), run) for name, (model, run) in models.items()}


@torch.no_grad()
def _errors(model: nn.Module, run: Callable[[Any, torch.dtype], Tensor]) -> dict[str, dict[str, float]]:
    errors: dict[str, dict[str, float]] = {"layernorm": {}, "rmsnorm": {}, "crmsnorm": {}}
    single = run(model, torch.float32)
    for name, dtype in DTYPES.items():
        original = deepcopy(model).to(dtype)
        reference = single if name == "bfloat16" else run(original, dtype)
        if name == "bfloat16":
            errors["layernorm"][name] = _error(run(original, dtype), reference)
        for kind in EQUALS:  # rewritten before the bits are taken away, as a loader does
            wide = deepcopy(model).to(torch.float64 if name == "float64" else torch.float32)
            errors[kind][name] = _error(run(convert_norms(wide, kind).to(dtype), dtype), reference)
    return errors


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


def _redrawn(model: nn.Module) -> nn.Module:
    """The model with every parameter drawn anew, far from where norms and biases start."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(noise / max(1, parameter[0].numel()) ** 0.5)
            else:
                parameter.copy_(0.3 * noise + (1.0 if name.endswith("weight") else 0.0))
    return model


def speed(config: SpeedConfig) -> dict[str, Any]:
    """Seconds and ratios to LayerNorm of one norm, forward and with backward, and of a CLIP image tower."""
    where = device()
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    width, made = config.width, {"device": where, "dtype": dtype}
    x = torch.randn(config.rows, width, **made)
    narrow = x[:, :-1].contiguous()
    norms: dict[str, tuple[nn.Module, Tensor]] = {
        "LayerNorm": (nn.LayerNorm(width, **made), x),
        "RMSNorm": (nn.RMSNorm(width, eps=1e-6, **made), x),
        "RMSNorm, written out": (RMSNorm(width, 1e-6).to(**made), x),
        "CRMSNorm, written out": (CompressedNorm(width - 1, 1e-6).to(**made), narrow),
        "CRMSNorm, rotated": (nn.RMSNorm(width - 1, eps=1e-6, elementwise_affine=False), narrow),
    }

    def forward(norm: nn.Module, x: Tensor) -> Callable[[], None]:
        def once() -> None:
            with torch.inference_mode():
                norm(x)

        return once

    def both(norm: nn.Module, x: Tensor) -> Callable[[], None]:
        x = x.clone().requires_grad_()

        def once() -> None:
            norm(x).sum().backward()

        return once

    side = 14
    vision = {"image_size": 16 * side, "patch_size": 16, "width": width, "layers": config.layers}
    vision["head_width"] = min(64, width)
    text = {"context_length": 8, "vocab_size": 8, "width": 32, "heads": 2, "layers": 1}
    tower = make_clip({"embed_dim": 64, "vision_cfg": vision, "text_cfg": text}).visual.to(**made).eval()
    pixels = torch.randn(max(1, config.rows // (side * side + 1)), 3, 16 * side, 16 * side, **made)
    towers = {"LayerNorm": tower}
    towers |= {kind: convert_norms(deepcopy(tower), kind) for kind in EQUALS}
    return {
        "of": f"{config.rows} tokens of width {width}, a tower of {config.layers} blocks, {dtype}",
        "norm, forward": paired({n: forward(*norm) for n, norm in norms.items()}, config.rounds),
        "norm, forward and backward": paired({n: both(*norm) for n, norm in norms.items()}, config.rounds),
        "CLIP image tower": paired({n: forward(t, pixels) for n, t in towers.items()}, config.rounds),
    }


def paired(
    variants: Mapping[str, Callable[[], object]],
    rounds: int,
    warm: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Median seconds of each variant, and the median of its rounds' ratios to the first.

    Where others take the processor away, `time.process_time` as the clock does not count the waiting.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for count in range(warm + rounds):
        # Every other round the other way about, so that nobody always runs after the same neighbour.
        for name in list(variants)[:: 1 if count % 2 else -1]:
            took = _seconds(variants[name], clock)
            if count >= warm:
                times[name].append(took)
    first = next(iter(times.values()))
    return {
        name: {"seconds": median(own), "ratio": median(a / b for a, b in zip(own, first, strict=True))}
        for name, own in times.items()
    }


def _seconds(once: Callable[[], object], clock: Callable[[], float]) -> float:
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.synchronize()
    started = clock()
    once()
    if cuda:
        torch.cuda.synchronize()
    return clock() - started
