"""What is not welcome, where, and what people are told: a `policy.yaml` as a frozen dataclass.

    categories:
      sexual:
        terms:       whole words and phrases; `porn*` also with other endings
        patterns:    regular expressions on lower-case text with single spaces
        together:    lists of terms; flagged when one of each list occurs
        draw_terms:  terms that may be talked about but not be drawn
        allow:       phrases that are taken out first ("naked eye")
        doors:       where the category is looked for
        message:     what the person is told

Category names are those of the OpenAI moderation API, so that they need no translation there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from gpt4video.config import read, read_yaml
from gpt4video.errors import InputError
from gpt4video.interfaces import Door

DEFAULT = Path(__file__).parent / "policy.yaml"
"""The policy that ships with the package."""


@dataclass(frozen=True)
class Category:
    """One kind of harm and how its words are recognised."""

    terms: tuple[str, ...] = ()
    """Words and phrases; a `*` at the end takes any ending."""
    patterns: tuple[str, ...] = ()
    """Regular expressions, on lower-case text with single spaces."""
    together: tuple[tuple[str, ...], ...] = ()
    """Lists of terms; flagged when every list has one in the text."""
    draw_terms: tuple[str, ...] = ()
    """Terms that count only at the instruction's door: talked about, yes; drawn, no."""
    allow: tuple[str, ...] = ()
    """Phrases in which the terms mean something else; taken out before anything is looked for."""
    doors: tuple[Door, ...] = ("question", "posted_video", "instruction", "drawn_video")
    """Where the category applies."""
    message: str = ""
    """What the person is told; empty means the policy's own."""

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"patterns: {pattern!r} is not a regular expression: {error}.") from error


@dataclass(frozen=True)
class FrameRule:
    """When scores of frames (0 to 1) condemn a clip: one clear frame, or a few doubtful ones in a row."""

    high: float = 0.6
    """A single frame above this is enough."""
    low: float = 0.5
    """`run` frames in a row above this are enough."""
    run: int = 2
    """How many doubtful frames in a row."""
    max_frames: int = 32
    """Most frames looked at, evenly spread over the clip."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise InputError(f"low and high must be 0 <= low <= high <= 1, got {self.low} and {self.high}.")
        if self.run < 1 or self.max_frames < 1:
            raise InputError(f"run and max_frames must be at least 1, got {self.run} and {self.max_frames}.")


@dataclass(frozen=True)
class Policy:
    """Everything the filter goes by."""

    version: int = 1
    """Version of this format."""
    message: str = "I can't help with that."
    """What people are told where the category has no words of its own."""
    categories: dict[str, Category] = field(default_factory=dict)
    """Kinds of harm by their name in the moderation API."""
    frames: FrameRule = field(default_factory=FrameRule)
    """When frames condemn a clip."""

    def __post_init__(self) -> None:
        if self.version != 1:
            raise InputError(f"version must be 1, got {self.version}.")

    @classmethod
    def from_file(cls, path: Path = DEFAULT) -> Policy:
        """Read a `policy.yaml`; every misfit is a `ConfigError` that names the field."""
        return read(cls, read_yaml(path), where=str(path))
