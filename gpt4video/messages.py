"""What people say and what the assistant answers, as plain values.

    Conversation = messages; a message = a role and parts
    parts:   Text  |  Posted (a video somebody posted)  |  Drawn (a video this assistant drew)
    events:  TextDelta | VideoRequested | VideoProgress | VideoDone | VideoFailed | Finished

`Drawn` holds the prompt of an earlier drawing, so that "the same, but blue" can be resolved.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gpt4video.video import Clip

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True)
class Posted:
    """A video that somebody posted, already decoded to the frames the model looks at."""

    clip: Clip


@dataclass(frozen=True)
class Drawn:
    """A video that the assistant drew earlier, by the prompt it was drawn from."""

    prompt: str


Part = Text | Posted | Drawn


@dataclass(frozen=True)
class Message:
    """One turn."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The words of this turn, without its videos."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The posted videos of this turn, in order."""
        return tuple(part.clip for part in self.parts if isinstance(part, Posted))


Conversation = tuple[Message, ...]


def user(*parts: str | Clip) -> Message:
    """A user's turn from plain words and clips: `user(clip, "What moves?")`."""
    return Message("user", tuple(Text(p) if isinstance(p, str) else Posted(p) for p in parts))


@dataclass(frozen=True)
class SamplingParams:
    """How the reply is sampled; the defaults are greedy."""

    max_tokens: int = 192
    """Longest reply, in tokens."""
    temperature: float = 0.0
    """0 is greedy; otherwise logits are divided by it."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""
    top_k: int = 0
    """Keep this many most likely tokens; 0 keeps all."""
    min_p: float = 0.0
    """Keep tokens at least this many times as likely as the likeliest; 0 keeps all."""
    repetition_penalty: float = 1.0
    """Scores of tokens the reply has used are divided by it (or multiplied, below 0); 1 changes nothing."""
    presence_penalty: float = 0.0
    """Taken off the score of every token that the reply has used."""
    frequency_penalty: float = 0.0
    """Taken off the score of a token once for each time that the reply has used it."""
    min_tokens: int = 0
    """The reply does not end by itself before it has this many tokens."""
    seed: int | None = None
    """Seed of the sampling; None draws one."""
    stop: tuple[str, ...] = ()
    """The reply ends before any of these strings."""
    begin: str = ""
    """The reply begins with these words (`<draw>` among them), which the model goes on from."""
    asker: str = ""
    """Who asks, where there are several: an engine whose places are short gives them in turn."""


@dataclass(frozen=True)
class DrawOptions:
    """How videos are drawn. Fields left None mean the drawer's own."""

    seconds: float | None = None
    """Length of the video, in seconds."""
    size: tuple[int, int] | None = None
    """(width, height) of the video, in pixels."""
    steps: int | None = None
    """Denoising steps."""
    guidance: float | None = None
    """Classifier-free guidance scale."""
    seed: int | None = None
    """Seed of the noise; None draws one."""


@dataclass(frozen=True)
class GenerationRequest:
    """One instruction on its way to the drawer."""

    prompt: str
    options: DrawOptions = field(default_factory=DrawOptions)


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer; soft tokens of videos count as prompt tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    video_tokens: int = 0
    """How many of the prompt's tokens are soft tokens of videos."""

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Piece:
    """A piece of a reply as the language model streams it. The last one says why it ended."""

    text: str
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


# Events of one answer, in the order they can come.


@dataclass(frozen=True)
class TextDelta:
    """More words for the person."""

    text: str


@dataclass(frozen=True)
class VideoRequested:
    """An instruction was heard: video number `index` of this answer is about to be drawn."""

    index: int
    request: GenerationRequest


@dataclass(frozen=True)
class VideoProgress:
    """Step `step` of `steps` is done; `preview` is a small (H, W, 3) uint8 frame, where there is one."""

    index: int
    step: int
    steps: int
    preview: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class VideoDone:
    """Video number `index` is drawn and has passed the last door; `seed` draws it again."""

    index: int
    request: GenerationRequest
    clip: Clip
    seed: int


@dataclass(frozen=True)
class VideoFailed:
    """Video number `index` will not come, and why."""

    index: int
    code: str
    message: str


@dataclass(frozen=True)
class Finished:
    """The answer has ended."""

    reason: FinishReason
    usage: Usage


Event = TextDelta | VideoRequested | VideoProgress | VideoDone | VideoFailed | Finished
