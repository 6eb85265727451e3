"""What a text-to-video pipeline accepts, read once from its class; every family names and rounds differently.

    frames   num_frames (most) | video_length (Latte) | frames (Sana)
    fps      frame_rate (LTX)  | fps (Cosmos)         | nowhere: only the file has one
    lengths  k n + 1 frames where the VAE packs k frames into one latent (Wan, CogVideoX 4, Mochi 6, LTX 8);
             at most motion_max_seq_length for AnimateDiff, whose frames have learned positions

Checked against diffusers 0.42.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from gpt4video.errors import ConfigError
from gpt4video.generation.config import SIDECAR

FRAMES = ("num_frames", "video_length", "frames")
FPS = ("frame_rate", "fps")
TEMPORAL = ("vae_scale_factor_temporal", "vae_temporal_compression_ratio", "vae_temporal_scale_factor")
SPATIAL = (
    "vae_scale_factor_spatial",
    "vae_spatial_compression_ratio",
    "vae_spatial_scale_factor",
    "vae_scale_factor",
)

NATIVE_FPS = {
    "WanPipeline": 16.0,
    "SkyReelsV2Pipeline": 24.0,
    "HunyuanVideoPipeline": 24.0,
    "HunyuanVideo15Pipeline": 24.0,
    "MochiPipeline": 30.0,
    "AllegroPipeline": 15.0,
    "SanaVideoPipeline": 16.0,
    "Kandinsky5T2VPipeline": 24.0,
}
"""Frame rates of the training data, by their model cards, for classes whose call does not say. Others: 8."""


@dataclass(frozen=True)
class Accepts:
    """The arguments that differ between pipeline classes; None where one has no such argument."""

    frames: str
    """Name of the argument for the number of frames."""
    fps: str | None
    """Name of the argument for frames a second."""
    guidance: bool
    """Whether it takes `guidance_scale`."""
    negative_prompt: bool
    """Whether it takes `negative_prompt`."""
    callback: bool
    """Whether it takes `callback_on_step_end`; the others are watched through their scheduler."""
    names: frozenset[str]
    """Every argument of the call."""


@dataclass(frozen=True)
class Native:
    """What a pipeline draws when nothing is asked."""

    size: tuple[int, int]
    """(width, height), in pixels."""
    frames: int
    """Number of frames."""
    fps: float
    """Frames a second."""
    steps: int
    """Denoising steps."""


def accepts(pipe: Any) -> Accepts:
    """What this pipeline's call takes. Raises `ConfigError` when it does not turn text into video."""
    arguments = inspect.signature(type(pipe).__call__).parameters
    frames = next((name for name in FRAMES if name in arguments), None)
    known = ("self", "prompt")
    needs = [
        p
        for p in arguments.values()
        if p.default is p.empty and p.name not in known and p.kind != p.VAR_KEYWORD
    ]
    if frames is None or "prompt" not in arguments or "num_inference_steps" not in arguments or needs:
        raise ConfigError(
            f"{type(pipe).__name__} does not turn text alone into video; choose a pipeline that does."
        )
    return Accepts(
        frames=frames,
        fps=next((name for name in FPS if name in arguments), None),
        guidance="guidance_scale" in arguments,
        negative_prompt="negative_prompt" in arguments,
        callback="callback_on_step_end" in arguments,
        names=frozenset(arguments),
    )


def native(pipe: Any, takes: Accepts, size: tuple[int, int] | None, frames: int | None) -> Native:
    """The pipeline's own defaults, after what its sidecar says of size and frames."""
    size = size or _native_size(pipe)
    frames = frames or _default(pipe, takes.frames) or _of(pipe, "transformer", "sample_frames")
    missing = [n for n, v in (("width and height", size), ("num_frames", frames)) if not v]
    if not size or not frames:
        raise ConfigError(
            f"{type(pipe).__name__} does not say its {' and '.join(missing)}; write them into its {SIDECAR}."
        )
    fps = _default(pipe, takes.fps) or NATIVE_FPS.get(type(pipe).__name__, 8.0)
    return Native(size, int(frames), float(fps), int(_default(pipe, "num_inference_steps") or 50))


def frames_misfit(pipe: Any, takes: Accepts, frames: int) -> str | None:
    """Why the pipeline cannot draw this many frames, naming what fits; None when it can."""
    most = _of(pipe, "unet", "motion_max_seq_length")
    if most and frames > most:
        return f"at most {most} frames fit"
    packed = next((value for name in TEMPORAL if isinstance(value := getattr(pipe, name, None), int)), 1)
    default = _default(pipe, takes.frames)
    if default and default % packed != 1 % packed:
        return None  # a pipeline whose own default breaks the rule has another one (Allegro: 88 frames)
    if frames % packed != 1 % packed:
        below = max(0, frames - 1) // packed * packed + 1
        return f"{packed} n + 1 frames fit, the nearest are {below} and {below + packed}"
    return None


def size_misfit(pipe: Any, size: tuple[int, int]) -> str | None:
    """Why the pipeline cannot draw this (width, height); None when it can, as far as its VAE tells."""
    unit = next((value for name in SPATIAL if isinstance(value := getattr(pipe, name, None), int)), 1)
    return f"width and height must be multiples of {unit}" if size[0] % unit or size[1] % unit else None


def _native_size(pipe: Any) -> tuple[int, int] | None:
    """Native (width, height), from the call's defaults or the denoiser's config."""
    width, height = _default(pipe, "width"), _default(pipe, "height")
    if width and height:
        return int(width), int(height)
    if hasattr(pipe, "default_width") and hasattr(pipe, "default_height"):
        return int(pipe.default_width), int(pipe.default_height)
    unit: Any = getattr(pipe, "vae_scale_factor", None) or getattr(pipe, "vae_scale_factor_spatial", 1)
    high, wide = _of(pipe, "transformer", "sample_height"), _of(pipe, "transformer", "sample_width")
    if high and wide:
        return wide * unit, high * unit
    side = _of(pipe, "unet", "sample_size") or _of(pipe, "transformer", "sample_size")
    if isinstance(side, int):
        return side * unit, side * unit
    return (side[1] * unit, side[0] * unit) if side else None


def _default(pipe: Any, argument: str | None) -> Any:
    """The default of one argument of the pipeline's call, None without one."""
    parameter = inspect.signature(type(pipe).__call__).parameters.get(argument or "")
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def _of(pipe: Any, component: str, field: str) -> Any:
    """A field of a component's config, None where there is no such component or field."""
    return getattr(getattr(getattr(pipe, component, None), "config", None), field, None)
