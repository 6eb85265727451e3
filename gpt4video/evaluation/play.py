"""Cases and the bench they are played on: many conversations side by side, each judged on its own.

    task -> cases, made while those before are answered -> answers -> {measure: right or wrong}

A case whose drawing is not looked at gets a blank one from a `Pad`: only the instruction counts then.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gpt4video.answer import Answer, collect
from gpt4video.assistant import Assistant
from gpt4video.errors import InputError
from gpt4video.interfaces import DrawerLimits, Drawing, Step
from gpt4video.messages import Conversation, DrawOptions, GenerationRequest
from gpt4video.shapes.oracle import Reading, read
from gpt4video.shapes.render import frame_times, render, sample_format, sample_style
from gpt4video.shapes.world import Part, Scene
from gpt4video.video import Clip, Sampling, encode_mp4, open_video

Verdicts = Mapping[str, bool]
Judge = Callable[[Answer], Verdicts]
Reconstruct = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Frames (T, H, W, 3) through a VAE and back."""


@dataclass(frozen=True)
class Case:
    """One thing that is asked, and what of the answer is right."""

    ask: Conversation | str | None
    """A conversation; or a prompt, which is drawn without a language model; or nothing, for what is only
    looked at."""
    judge: Judge
    """Right or wrong, for each measure that this case counts in."""
    reply: str = ""
    """A reply that is right, instruction and all."""
    draws: bool = False
    """Whether what is drawn is looked at."""


@dataclass(frozen=True)
class EvaluationConfig:
    """The section `evaluation` of a config."""

    part: Part = "test"
    """Part of the world; only results that are not reported may come from another than test."""
    n: int = 500
    """Samples of each measure."""
    counts: dict[str, int] = field(default_factory=dict)
    """Samples of measures whose names match a pattern, where not `n`; the first that fits counts."""
    seed: int = 2024
    """What all samples are made from."""
    only: tuple[str, ...] = ()
    """Patterns of the measures that are wanted; empty is all."""
    steps: int | None = None
    """Denoising steps; None is the drawer's own number."""
    together: int = 16
    """Conversations that are held side by side."""

    def __post_init__(self) -> None:
        if self.n < 1 or any(n < 1 for n in self.counts.values()):
            raise InputError("every measure needs at least one sample.")
        if self.together < 1:
            raise InputError(f"together must be at least 1, got {self.together}.")

    def samples(self, measure: str) -> int:
        """How many samples a measure gets."""
        return next((n for pattern, n in self.counts.items() if fnmatchcase(measure, pattern)), self.n)

    def wants(self, measure: str) -> bool:
        """Whether a measure is wanted."""
        return not self.only or any(fnmatchcase(measure, pattern) for pattern in self.only)


class Need:
    """How many samples of each measure are still to be made."""

    def __init__(self, wanted: Mapping[str, int]) -> None:
        self._left = dict(wanted)

    def __bool__(self) -> bool:
        return any(self._left.values())

    def open(self, *measures: str) -> tuple[str, ...]:
        """Those of the measures that want more."""
        return tuple(m for m in measures if self._left.get(m, 0) > 0)

    def take(self, *measures: str) -> tuple[str, ...]:
        """Those of the measures that wanted one more; now they have it."""
        taken = self.open(*measures)
        for measure in taken:
            self._left[measure] -= 1
        return taken


class Pad:
    """A drawer that draws one blank frame at once: only the instruction matters. Implements `Drawer`."""

    limits = DrawerLimits(size=(64, 64), seconds=1.0, fps=1.0, steps=1)

    def check(self, options: DrawOptions) -> None:
        """Everything fits."""

    async def draw(self, request: GenerationRequest) -> AsyncIterator[Step | Drawing]:
        """A blank frame."""
        yield Drawing(BLANK, 0)


BLANK = Clip(np.full((1, 64, 64, 3), 124, np.uint8), np.zeros(1), 1.0)
"""A clip in which there is nothing."""


def film(scene: Scene, rng: np.random.Generator, sampling: Sampling) -> Clip:
    """A scene as some other program might have drawn it, as a file, posted: what the assistant gets to see.

    Sizes, frame rates and styles vary as in training.
    """
    fps, width, height = sample_format(rng)
    times = frame_times(scene.duration, fps)
    frames = render(scene, width=width, height=height, times=times, style=sample_style(rng), rng=rng)
    return open_video(encode_mp4(frames, fps), sampling)


def look(clip: Clip) -> Reading:
    """What the oracle reads in a clip after its way through an mp4."""
    seen = open_video(encode_mp4(clip, clip.fps), Sampling("all", num_frames=1000))
    return read(seen.frames, seen.fps)


def _nobody(count: int) -> None:
    """Nobody hears."""


class Bench:
    """An assistant under measurement."""

    def __init__(
        self, assistant: Assistant, config: EvaluationConfig, reconstruct: Reconstruct | None = None
    ) -> None:
        """`reconstruct` is the drawer's VAE, where its reconstructions are to be measured."""
        self.assistant, self.config, self.reconstruct = assistant, config, reconstruct
        self._talker = Assistant(
            assistant.encoder, assistant.language_model, Pad(), assistant.safety, cached_clips=256
        )

    def rng(self, name: str, index: int) -> np.random.Generator:
        """The randomness of one sample: the same whatever else is measured."""
        return np.random.default_rng([self.config.seed, zlib.crc32(name.encode()), index])

    def film(self, scene: Scene, rng: np.random.Generator) -> Clip:
        """A scene posted as a file: the frames that the encoder wants to see."""
        return film(scene, rng, self.assistant.encoder.sampling)

    def play(
        self,
        cases: Iterator[Case],
        wanted: Mapping[str, int],
        progress: Callable[[int], None] = _nobody,
    ) -> dict[str, list[bool]]:
        """Ask every case; outcomes by measure. `progress` hears how many outcomes there are."""
        return asyncio.run(self._play(cases, wanted, progress))

    async def _play(
        self, cases: Iterator[Case], wanted: Mapping[str, int], progress: Callable[[int], None]
    ) -> dict[str, list[bool]]:
        outcomes: dict[str, list[bool]] = defaultdict(list)
        size = 2 * self.config.together

        def more() -> list[Case]:
            return list(islice(cases, size))

        batch, index = await asyncio.to_thread(more), 0
        while batch:
            # The next cases are filmed while these are answered.
            following = asyncio.create_task(asyncio.to_thread(more))
            gate = asyncio.Semaphore(self.config.together)
            answers = await asyncio.gather(*(self._answer(c, index + i, gate) for i, c in enumerate(batch)))
            for case, answer in zip(batch, answers, strict=True):
                for measure, right in (await asyncio.to_thread(case.judge, answer)).items():
                    if len(outcomes[measure]) < wanted.get(measure, 0):
                        outcomes[measure].append(right)
            progress(sum(map(len, outcomes.values())))
            index += len(batch)
            batch = await following
        return {measure: values for measure, values in outcomes.items() if values}

    async def _answer(self, case: Case, index: int, gate: asyncio.Semaphore) -> Answer:
        """The answer to one case; an empty one where the conversation does not fit."""
        options = DrawOptions(steps=self.config.steps, seed=self.config.seed + index) if case.draws else None
        assistant = self.assistant if case.draws else self._talker
        async with gate:
            try:
                if case.ask is None:
                    return Answer("")
                if isinstance(case.ask, str):
                    return await collect(assistant.draw(case.ask, options or DrawOptions()))
                return await collect(assistant.respond(case.ask, draw=options or DrawOptions()))
            except InputError:
                return Answer("", finish_reason="length")
