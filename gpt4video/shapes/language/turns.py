"""The turns of a conversation, and the pen that writes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from gpt4video.shapes.language import smalltalk
from gpt4video.shapes.language.asking import casual
from gpt4video.shapes.language.describe import Request, prompt
from gpt4video.shapes.language.judge import QA
from gpt4video.shapes.language.rough import rough
from gpt4video.shapes.world import POSTED, Mix, Part, Scene, sample_scene

Rng = np.random.Generator
Act = Literal["answer", "draw", "chat", "decline", "refuse"]
"""What a reply does: `decline` says what cannot be done, `refuse` refuses harm."""


@dataclass(frozen=True)
class Turn:
    """What one side says. An assistant's turn also says what it does, for training and evaluation."""

    role: Literal["user", "assistant"]
    text: str
    """An assistant's text holds the instruction in place."""
    videos: tuple[int, ...] = ()
    """Scenes of the dialogue that a user posts with this turn."""
    act: Act | None = None
    draws: Request | None = None
    """What is asked for in whole, where the reply draws."""
    qa: QA | None = None
    """What a judge needs, where the reply answers."""

    @property
    def words(self) -> str:
        """The text without its instruction; of an instruction alone, what it says."""
        words, _, instruction = self.text.partition("<draw>")
        return words.rstrip() or instruction.removesuffix("</draw>").strip()


@dataclass(frozen=True)
class Dialogue:
    """Turns of a user and an assistant, in turns, beginning with the user."""

    scenes: tuple[Scene, ...]
    turns: tuple[Turn, ...]
    kind: str
    keeps_tags: bool = True
    """Whether earlier replies keep their instructions when they come back."""
    system: str | None = None
    """What an application says before anybody else."""

    def history(self, until: int) -> Iterator[Turn]:
        """The turns before `until`, as a client that keeps tags, or does not, would send them."""
        for turn in self.turns[:until]:
            yield turn if self.keeps_tags else replace(turn, text=turn.words)

    def rendered(self) -> Iterator[tuple[Turn, bool]]:
        """All turns as one training example, and whether each is to be learned.

        Where tags are lost, replies that drew are context only, but for the last one.
        """
        last = len(self.turns) - 1
        for index, turn in enumerate(self.turns):
            if turn.role == "user":
                yield turn, False
            elif self.keeps_tags or index == last or turn.draws is None:
                yield turn, True
            else:
                yield replace(turn, text=turn.words), False


def drawing(request: Request) -> str:
    """The reply that draws."""
    words = prompt(request)
    return f"Here is {words}. <draw> {words} </draw>"


POSTED_TO_COPY = replace(POSTED, events=0.0, order=0.0)
"""Posted videos of which a drawing can show everything."""

BARE = 0.08
"""Share of training's drawings that come without words, as where nothing but a video is asked for."""


@dataclass
class Talk:
    """A conversation being written; what it may hold depends on its part.

    `source` gives the scenes that people post; training gives those of its pool of clips.
    """

    rng: Rng
    part: Part
    source: Callable[[Rng, Part, Mix], Scene] = sample_scene
    scenes: list[Scene] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def says(self, text: str, videos: tuple[int, ...] = ()) -> None:
        """What the user types: in training as roughly as people do."""
        if self.part == "training":
            text = rough(self.rng, text)
        self.turns.append(Turn("user", text, videos))

    def replies(self, text: str, act: Act, qa: QA | None = None) -> None:
        self.turns.append(Turn("assistant", text, act=act, qa=qa))

    def draws(self, request: Request) -> None:
        """The reply that draws; in training sometimes the instruction alone, as where a video is demanded."""
        text = drawing(request)
        if self.part == "training" and self.chance(BARE):
            text = f"<draw> {prompt(request)} </draw>"
        self.turns.append(Turn("assistant", text, act="draw", draws=request))

    def asks(self, qa: QA, videos: tuple[int, ...] = ()) -> None:
        self.says(qa.question, videos)
        self.replies(qa.answer, "answer", qa)

    def posts(self, mix: Mix = POSTED) -> tuple[int, ...]:
        self.scenes.append(self.source(self.rng, self.part, mix))
        return (len(self.scenes) - 1,)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def casual(self, text: str) -> str:
        return casual(self.rng, text)


def chat(t: Talk, intents: tuple[str, ...] = ()) -> None:
    said, reply = smalltalk.smalltalk(t.rng, t.part, intents)
    t.says(t.casual(said))
    t.replies(reply, "chat")
