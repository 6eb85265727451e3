"""Any diffusers text-to-video pipeline as a `Drawer`: progress by step, cancellation by step, seeds, turns.

    event loop                                one thread per pipeline
    draw(request) ---- submit --------------> waits its turn
        |  <--- Step(0, n) ------------------ starts: text encoder, then n denoising steps
        |  <--- Step(i, n, preview) --------- callback after step i; raises here when the asker has left
        |  <--- Drawing --------------------- VAE, frames

Pipelines keep state between the steps of a call (scheduler, `_interrupt`, …), so calls take turns on a
one-thread executor. A lock would not do: a cancelled waiter releases it while its worker still draws. Raising
after a step is the one way to stop that every family honours, and it spares the VAE, which `pipe._interrupt`
does not.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AnimateDiffPipeline, DiffusionPipeline, MotionAdapter
from diffusers import __version__ as diffusers_version
from numpy.typing import NDArray

from gpt4video.errors import ConfigError, DrawerHangs, GenerationFailed, InputError
from gpt4video.generation.config import DrawerConfig
from gpt4video.generation.pipelines import accepts, frames_misfit, native, size_misfit
from gpt4video.generation.preview import enlarge, preview
from gpt4video.generation.watch import keep_prompts_out_of_logs, watched
from gpt4video.interfaces import DrawerLimits, Drawing, Step
from gpt4video.messages import DrawOptions, GenerationRequest
from gpt4video.video import Clip

DTYPE = "dtype" if tuple(map(int, diffusers_version.split(".")[:2])) >= (0, 40) else "torch_dtype"
"""The loading option's name; 0.40 renamed it."""


LOOK_SECONDS = 1.0
"""How often who waits for a turn looks whether the drawing before hangs."""


class _Left(Exception):
    """The asker has left: unwinds the pipeline's call between two steps."""


class _Asker:
    """Who waits for a drawing, seen from the drawer's thread."""

    left: float | None = None
    """When they left, by `time.monotonic()`."""


class DiffusersDrawer:
    """Draws with one open pipeline. Each drawer has a thread of its own; `close()` ends it."""

    def __init__(self, pipe: Any, config: DrawerConfig | None = None) -> None:
        """`pipe` is any diffusers pipeline that turns text into video. Raises `ConfigError` for others."""
        config = config or DrawerConfig()
        self._pipe, self._config, self._takes = pipe, config, accepts(pipe)
        if config.guidance is not None and not self._takes.guidance:
            raise ConfigError(f"{type(pipe).__name__} takes no guidance, got {config.guidance}.")
        if config.negative_prompt is not None and not self._takes.negative_prompt:
            raise ConfigError(f"{type(pipe).__name__} takes no negative prompt.")
        if unknown := sorted(set(config.call) - self._takes.names):
            raise ConfigError(f"{type(pipe).__name__} takes no {', '.join(unknown)}.")
        size = (config.width, config.height) if config.width and config.height else None
        own = native(pipe, self._takes, size, config.num_frames)
        fps = config.fps or own.fps
        self._frames = dict.fromkeys((own.frames, *config.lengths))
        self._sizes = {(w * config.enlarge, h * config.enlarge): (w, h) for w, h in (own.size, *config.sizes)}
        for frames in self._frames:
            if misfit := frames_misfit(pipe, self._takes, frames):
                raise ConfigError(f"{type(pipe).__name__} cannot draw {frames} frames: {misfit}.")
        for size in self._sizes.values():
            if misfit := size_misfit(pipe, size):
                raise ConfigError(f"{type(pipe).__name__} cannot draw {size[0]}x{size[1]}: {misfit}.")
        self._limits = DrawerLimits(
            size=next(iter(self._sizes)),
            seconds=own.frames / fps,
            fps=fps,
            steps=config.steps or min(own.steps, config.max_steps),
            max_steps=config.max_steps,
            sizes=tuple(self._sizes),
            lengths=tuple(frames / fps for frames in self._frames),
        )
        pipe.set_progress_bar_config(disable=True)
        keep_prompts_out_of_logs(pipe)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drawer")
        self._asker: _Asker | None = None  # whose drawing is under way

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        config: DrawerConfig | None = None,
        motion_adapter: str | Path | None = None,
    ) -> DiffusersDrawer:
        """Open a pipeline's folder or hub id, with its sidecar unless `config` is given.

        `motion_adapter` names the adapter that makes an AnimateDiff pipeline of a Stable Diffusion one.
        """
        options: dict[str, Any] = {DTYPE: dtype, "use_safetensors": True}
        try:
            if motion_adapter is None:
                pipe = DiffusionPipeline.from_pretrained(str(path), **options)
            else:
                adapter = MotionAdapter.from_pretrained(str(motion_adapter), **options)
                pipe = AnimateDiffPipeline.from_pretrained(str(path), motion_adapter=adapter, **options)
        except (OSError, ValueError) as error:
            raise ConfigError(f"Cannot open the drawing pipeline {path}: {error}") from error
        return cls(pipe.to(device), config or DrawerConfig.of_folder(Path(path)))

    @property
    def limits(self) -> DrawerLimits:
        """What it can draw; sizes are those of the files, after enlarging."""
        return self._limits

    @property
    def idle(self) -> bool:
        """Whether nothing is being drawn."""
        return self._asker is None

    @property
    def alive(self) -> bool:
        """Whether anything can be drawn: not while a drawing that is to stop hangs, as on a broken device."""
        asker = self._asker
        left = asker.left if asker else None
        return left is None or time.monotonic() - left < self._config.stuck_seconds

    def check(self, options: DrawOptions) -> None:
        """Raise `InputError` naming what fits, when these options cannot be drawn."""
        limits = self._limits
        if options.seconds is not None and self._frames_of(options.seconds) is None:
            fits = _listed(f"{s:g}" for s in limits.lengths)
            raise InputError(f"seconds must be {fits}, got {options.seconds:g}.", param="seconds")
        if options.size is not None and options.size not in self._sizes:
            fits = _listed(f"{w}x{h}" for w, h in limits.sizes)
            raise InputError(f"size must be {fits}, got {options.size[0]}x{options.size[1]}.", param="size")
        if options.steps is not None and not 1 <= options.steps <= limits.max_steps:
            raise InputError(f"steps must be 1 to {limits.max_steps}, got {options.steps}.", param="steps")
        if options.guidance is not None:
            if not self._takes.guidance:
                raise InputError("This drawer takes no guidance; leave it out.", param="guidance")
            if not (math.isfinite(options.guidance) and options.guidance >= 0):
                raise InputError(f"guidance must be 0 or more, got {options.guidance}.", param="guidance")
        if options.seed is not None and not 0 <= options.seed < 2**63:
            raise InputError(f"seed must be 0 to 2**63 - 1, got {options.seed}.", param="seed")

    async def draw(self, request: GenerationRequest) -> AsyncIterator[Step | Drawing]:
        """`Step(0, n)` when its turn comes, a `Step` after each of n steps, then the `Drawing`.

        Closing the iterator takes it out of the queue, or stops it before its next step. Raises `InputError`
        for options that do not fit, `GenerationFailed` when the pipeline breaks, and `DrawerHangs` where an
        earlier drawing never ends.
        """
        self.check(request.options)
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[Step | None] = asyncio.Queue()
        asker = _Asker()

        def tell(step: Step) -> None:
            if asker.left is not None or loop.is_closed():
                raise _Left
            loop.call_soon_threadsafe(steps.put_nowait, step)

        def draw() -> Drawing:
            self._asker = asker
            try:
                return self._draw(request, tell)
            finally:
                self._asker = None

        try:
            drawing = loop.run_in_executor(self._thread, draw)
        except RuntimeError as error:
            raise GenerationFailed("The drawer is closed.") from error
        drawing.add_done_callback(lambda _: steps.put_nowait(None))

        async def next_step() -> Step | None:
            while True:
                if self._asker is not asker and not self.alive:
                    raise DrawerHangs("The drawer hangs in an earlier drawing; try again later.")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        return await steps.get()

        try:
            while (step := await next_step()) is not None:
                yield step
            if drawing.cancelled():
                raise GenerationFailed("The drawer was closed before this video was drawn.")
            yield drawing.result()
        finally:
            asker.left = time.monotonic()
            drawing.cancel()

    def close(self) -> None:
        """End the thread once the drawing under way is done; those that wait fail."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _draw(self, request: GenerationRequest, tell: Callable[[Step], None]) -> Drawing:
        """One whole drawing, on the drawer's thread."""
        options, limits, config = request.options, self._limits, self._config
        steps = options.steps or limits.steps
        seed = secrets.randbelow(2**32) if options.seed is None else options.seed
        tell(Step(0, steps))
        done = 0

        def stepped(latents: Any) -> None:
            nonlocal done
            done += 1
            # Some schedulers (Heun, PNDM) take more turns than steps were asked for.
            turns = max(len(getattr(self._pipe.scheduler, "timesteps", ())), done)
            tell(Step(done * steps // turns, steps, preview(latents, config.preview)))

        try:
            with watched(self._pipe, self._takes, stepped) as watch:
                output = self._pipe(**self._arguments(request, steps, seed), **watch)
            frames = enlarge(_frames(output), config.enlarge)
        except _Left:
            self._pipe.maybe_free_model_hooks()
            raise
        except GenerationFailed:
            raise
        except torch.OutOfMemoryError as error:
            raise GenerationFailed("The device ran out of memory; ask for a shorter video.") from error
        except BaseException as error:  # SystemExit, too: it would end the event loop that waits for us
            raise GenerationFailed(f"The drawing pipeline broke ({type(error).__name__}).") from error
        return Drawing(Clip.of(frames, limits.fps), seed)

    def _arguments(self, request: GenerationRequest, steps: int, seed: int) -> dict[str, Any]:
        """The pipeline's call, but for how it is watched."""
        options, limits, takes = request.options, self._limits, self._takes
        width, height = self._sizes[options.size or limits.size]
        arguments: dict[str, Any] = self._config.call | {
            "prompt": request.prompt,
            "width": width,
            "height": height,
            takes.frames: self._frames_of(limits.seconds if options.seconds is None else options.seconds),
            "num_inference_steps": steps,
            # Noise is drawn on the CPU, so that a seed means the same video on every device.
            "generator": torch.Generator("cpu").manual_seed(seed),
            "output_type": "np",
        }
        guidance = self._config.guidance if options.guidance is None else options.guidance
        if guidance is not None:
            arguments["guidance_scale"] = guidance
        if self._config.negative_prompt is not None:
            arguments["negative_prompt"] = self._config.negative_prompt
        if takes.fps:
            arguments[takes.fps] = int(limits.fps) if limits.fps.is_integer() else limits.fps
        return arguments

    def _frames_of(self, seconds: float) -> int | None:
        """The number of frames of one of the lengths on offer, met to within half a frame."""
        return next((n for n in self._frames if abs(n - seconds * self._limits.fps) < 0.5), None)


def _frames(output: Any) -> NDArray[np.uint8]:
    """The first video of a pipeline's output, (B, T, H, W, 3) floats from 0 to 1, as (T, H, W, 3) uint8."""
    frames = np.asarray(output.frames[0])
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise GenerationFailed(f"The pipeline gave frames {frames.shape}; (T, H, W, 3) was expected.")
    if not np.isfinite(frames).all():
        raise GenerationFailed("The pipeline gave numbers that are not finite; another dtype may help.")
    return (frames.clip(0, 1) * 255).round().astype(np.uint8)


def _listed(values: Any) -> str:
    """`2` or `one of 2, 4`."""
    values = list(values)
    return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
