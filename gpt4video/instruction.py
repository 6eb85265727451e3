"""A streamed reply into words and instructions: `Here it is. <draw> a red circle </draw> Anything else?`

    reply = words, instructions, words …          instruction = <draw> prompt </draw>

    outside   words are passed on at once; only what may be the start of a tag is held back
      <draw>    -> inside
      </draw>   -> Malformed("stray_close")
    inside    the prompt is gathered until its end
      </draw>   -> Instruction, or Malformed("empty") for a prompt of spaces
      <draw>    -> Malformed("nested"), and everything up to the next </draw> is dropped
    the end   inside or in the middle of a tag -> Malformed("unclosed")

Tags are bare and exact, as in the design: `<DRAW>` or `<draw style=…>` are words. What is inside a broken
instruction is neither drawn nor shown: guessing would draw something nobody asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OPEN, CLOSE = "<draw>", "</draw>"

Reason = Literal["unclosed", "nested", "stray_close", "empty"]

EXPLANATION: dict[Reason, str] = {
    "unclosed": "The drawing instruction had no end.",
    "nested": "A drawing instruction began inside another.",
    "stray_close": "A drawing instruction ended that had not begun.",
    "empty": "The drawing instruction had no prompt.",
}


@dataclass(frozen=True)
class Instruction:
    """One whole instruction; its prompt without the spaces around it."""

    prompt: str


@dataclass(frozen=True)
class Malformed:
    """An instruction that cannot be followed, and why."""

    reason: Reason

    @property
    def message(self) -> str:
        """A sentence for people."""
        return EXPLANATION[self.reason]


Heard = str | Instruction | Malformed


def render(prompt: str) -> str:
    """The instruction for `prompt`, as a reply would hold it; tags within the prompt are taken out."""
    return f"{OPEN} {strip_tags(prompt).strip()} {CLOSE}"


def strip_tags(text: str) -> str:
    """`text` without our tags, for words that must not carry an instruction.

    A space stays in each tag's place, so that the words around it cannot join to a new tag.
    """
    return text.replace(OPEN, " ").replace(CLOSE, " ")


class InstructionParser:
    """Reads one reply, cut anywhere: `feed` every piece, then `close`.

    What comes out, with neighbouring words joined, does not depend on where the reply was cut.
    """

    def __init__(self) -> None:
        self._held = ""  # outside: a possible start of a tag; inside: the same, after `_prompt`
        self._prompt: str | None = None  # None is outside; otherwise the prompt gathered so far
        self._broken = False  # inside an instruction that was already reported

    def feed(self, piece: str) -> list[Heard]:
        """What can be told after this piece."""
        heard: list[Heard] = []
        self._held += piece
        while tag := _first_tag(self._held):
            before, self._held = self._held.split(tag, 1)
            heard += self._words(before)
            heard += self._opened() if tag == OPEN else self._closed()
        sure = len(self._held) - _start_of_a_tag(self._held)
        heard += self._words(self._held[:sure])
        self._held = self._held[sure:]
        return heard

    def close(self) -> list[Heard]:
        """What remains to be told at the end of the reply. The parser is as new afterwards."""
        held, inside, broken = self._held, self._prompt is not None, self._broken
        self._held, self._prompt, self._broken = "", None, False
        if inside:
            return [] if broken else [Malformed("unclosed")]
        # A lone "<" is a sign people write; anything longer is a tag that the end of the reply cut off.
        return [Malformed("unclosed")] if len(held) > 1 else [held] if held else []

    def _words(self, text: str) -> list[Heard]:
        if self._prompt is None:
            return [text] if text else []
        self._prompt += text
        return []

    def _opened(self) -> list[Heard]:
        if self._prompt is None:
            self._prompt = ""
            return []
        reported, self._broken = self._broken, True
        return [] if reported else [Malformed("nested")]

    def _closed(self) -> list[Heard]:
        prompt, broken = self._prompt, self._broken
        self._prompt, self._broken = None, False
        if prompt is None:
            return [Malformed("stray_close")]
        if broken:
            return []
        return [Instruction(prompt.strip()) if prompt.strip() else Malformed("empty")]


def _first_tag(text: str) -> str | None:
    """Whichever tag comes first in `text`."""
    places = [(place, tag) for tag in (OPEN, CLOSE) if (place := text.find(tag)) >= 0]
    return min(places)[1] if places else None


def _start_of_a_tag(text: str) -> int:
    """How many characters at the end of `text` may be the start of a tag."""
    place = text.rfind("<", -len(CLOSE) + 1)
    if place < 0:
        return 0
    end = text[place:]
    return len(end) if OPEN.startswith(end) or CLOSE.startswith(end) else 0
