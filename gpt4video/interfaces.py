"""The seams between rooms: what the assistant asks of each, on one screen.

A stand-in for a test takes five lines and keeps the same promises.
Closing an async iterator stops the work behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gpt4video.messages import (
    Conversation,
    DrawOptions,
    FinishReason,
    GenerationRequest,
    Piece,
    SamplingParams,
)
from gpt4video.video import Clip, Sampling

Door = Literal["question", "posted_video", "instruction", "drawn_video"]

SoftTokens = Any
"""What an encoder makes of a clip and its language model reads: (Q, D) for the native one."""


class Encoder(Protocol):
    """Turns a clip into what the language model reads in its place. Cached by the clip's hash."""

    @property
    def sampling(self) -> Sampling:
        """Which frames of a posted video the encoder wants to see."""
        ...

    async def encode(self, clip: Clip) -> SoftTokens:
        """Soft tokens of one clip."""
        ...


class LanguageModel(Protocol):
    """Reads a conversation and streams a reply, instructions and all, as `<draw> … </draw>`."""

    @property
    def context_length(self) -> int:
        """How many tokens it can read and write in all."""
        ...

    def check(self, conversation: Conversation) -> None:
        """Raise `ContextTooLong` for what cannot fit, by its length alone: quick, whatever is posted.

        Videos may be left out of `conversation`. What passes may still be too long once it is read.
        """
        ...

    def stream(
        self, conversation: Conversation, videos: Sequence[SoftTokens], params: SamplingParams
    ) -> AsyncIterator[Piece]:
        """Pieces of the reply. `videos` holds the soft tokens of every `Posted` part, in order.

        Raises `ContextTooLong` before the first piece.
        """
        ...


@dataclass(frozen=True)
class DrawerLimits:
    """What a drawer can draw: its native settings and what it will accept."""

    size: tuple[int, int]
    """Native (width, height) of the files it gives, in pixels."""
    seconds: float
    """Native length, in seconds."""
    fps: float
    """Frames a second."""
    steps: int
    """Denoising steps unless told."""
    max_steps: int = 100
    """Most denoising steps it will take."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Every (width, height) it accepts; empty means only the native one."""
    lengths: tuple[float, ...] = ()
    """Every length it accepts, in seconds; empty means only the native one."""


@dataclass(frozen=True)
class Step:
    """One denoising step is done; `preview` is a small (H, W, 3) uint8 frame, where there is one."""

    step: int
    steps: int
    preview: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Drawing:
    """A finished clip and the seed that draws it again."""

    clip: Clip
    seed: int


def alive(part: object) -> bool:
    """Whether a part of an assistant works, as far as it knows: parts that may end or hang have `alive`."""
    return bool(getattr(part, "alive", True))


class Drawer(Protocol):
    """Draws videos, one at a time."""

    @property
    def limits(self) -> DrawerLimits:
        """What it can draw."""
        ...

    def check(self, options: DrawOptions) -> None:
        """Raise `InputError` naming what fits, when these options cannot be drawn."""
        ...

    def draw(self, request: GenerationRequest) -> AsyncIterator[Step | Drawing]:
        """Steps, then one `Drawing`. Raises `GenerationFailed`, `DrawerHangs` among them."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What safety says of one thing at one door."""

    allowed: bool
    categories: tuple[str, ...] = ()
    """What it was flagged for, in the policy's words."""
    message: str = ""
    """What the person is told when it is not allowed."""
    scores: tuple[tuple[str, float], ...] = ()
    """Score of every category, 0 to 1."""


class Safety(Protocol):
    """The filter at the four doors."""

    def text(self, text: str, door: Door) -> Verdict:
        """A verdict on words."""
        ...

    def clip(self, clip: Clip, door: Door) -> Verdict:
        """A verdict on frames."""
        ...


@dataclass(frozen=True)
class Token:
    """One token of a generation; the last says why it ended (after "stop" it is the end-of-turn token)."""

    id: int
    finish_reason: FinishReason | None = None


@dataclass(frozen=True)
class EngineStats:
    """How busy an engine is, and how much it has done."""

    running: int = 0
    waiting: int = 0
    forward_passes: int = 0
    tokens: int = 0
    aborted: int = 0


class Engine(Protocol):
    """Serves a causal language model: many requests, one loop, plain data.

    `prompt` is token ids (1-D ints) or embeddings (L, D). Closing the iterator aborts.
    """

    def generate(self, prompt: Any, params: SamplingParams, *, id: str | None = None) -> AsyncIterator[Token]:
        """Tokens as they are sampled, then one with a finish reason (after "stop": the end-of-turn token)."""
        ...

    def abort(self, id: str) -> None:
        """Stop one request; its iterator ends. Unknown ids are ignored."""
        ...

    def stats(self) -> EngineStats:
        """Counters, for tests and metrics."""
        ...
