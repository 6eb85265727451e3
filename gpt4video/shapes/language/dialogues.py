"""Conversations about videos, for training and evaluation, as plain data.

    sample_dialogue(rng, part)                  any kind
    sample_dialogue(rng, part, {"qa": 1.0})     one kind

A reply that draws names the prompt in its words and then holds the instruction:

    Here is a red circle moving left. <draw> a red circle moving left </draw>

`Turn.draws` is the target. In dialogues with `keeps_tags=False` earlier replies come back as words alone,
as they do from clients that keep only text; `Dialogue.history()` renders both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpt4video.shapes.language import harm, limits
from gpt4video.shapes.language.answers import choice
from gpt4video.shapes.language.asking import THIS_ONE
from gpt4video.shapes.language.changes import change
from gpt4video.shapes.language.describe import pick
from gpt4video.shapes.language.drawing import draw_one, draw_some, edit_drawn, edit_posted, wish
from gpt4video.shapes.language.harm import refuses
from gpt4video.shapes.language.leaning import WHOLE, ask_whole, leaning, of_nth, this_one
from gpt4video.shapes.language.questions import sample_question
from gpt4video.shapes.language.requests import FLOORS, rephrase
from gpt4video.shapes.language.systems import system
from gpt4video.shapes.language.turns import Act, Dialogue, Talk, Turn, chat, drawing
from gpt4video.shapes.language.viewing import ask_some, one_video, two_videos
from gpt4video.shapes.language.wordings import RECREATE
from gpt4video.shapes.world import FOREIGN, POSTED, Mix, Part, Scene, sample_scene

__all__ = ["WRITERS", "Act", "Dialogue", "Turn", "drawing", "refuses", "sample_dialogue"]

Rng = np.random.Generator


def _smalltalks(t: Talk) -> None:
    for _ in range(int(t.rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))):
        chat(t)


def _impossible(t: Talk) -> None:
    """Wishes outside the world; questions without a video."""
    toss = t.rng.random()
    if toss < 0.16:
        qa = sample_question(sample_scene(t.rng, t.part), t.rng, t.part)
        assert qa is not None, "every scene has a background to ask for"
        t.says(qa.question)
        t.replies(limits.NO_VIDEO, "decline")
    elif toss < 0.26:
        while True:  # only what points at something that is not there
            text, _ = change(wish(t), t.rng, t.part, posted=t.chance(0.5))
            if "same" in text.lower() or "it" in text.lower().split() or "this" in text.lower():
                break
        t.says(text)
        t.replies(limits.NO_VIDEO, "decline")
    elif toss < 0.32:
        ask_some(t, t.posts(), 1)
        _decline(t)
    elif toss < 0.4:
        draw_one(t)
        _decline(t)
    else:
        _decline(t)
    if t.chance(0.25):
        draw_one(t)


def _decline(t: Talk) -> None:
    said, reply = limits.impossible(t.rng, t.part)
    t.says(t.casual(said))
    t.replies(reply, "decline")


def _foreign(t: Talk) -> None:
    """A video of anything else: whatever is asked of it, nothing is made up. Before or after it, another."""
    toss = t.rng.random()
    texts: list[str] = []
    if toss < 0.1:
        one_video(t)
    elif toss < 0.18:
        draw_one(t)
    elif toss < 0.3:
        ask_whole(t, t.posts(), choice(t.rng, list(WHOLE)))
        texts = [t.casual(pick(t.rng, THIS_ONE, t.part))]
    videos = t.posts(FOREIGN)
    last = ""
    for _ in range(int(t.rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        text, last = (texts.pop(), "") if texts else _asked_in_vain(t)
        _unknown(t, text, videos)
        videos = ()
    toss = t.rng.random()
    if toss < 0.2:
        draw_one(t)
    elif toss < 0.35:
        one_video(t)
    elif toss < 0.5 and last:
        this_one(t, last)
    elif toss < 0.7 and len(t.scenes) == 2:
        n = int(t.rng.integers(2))
        known = t.scenes[n] if t.scenes[n].things else None
        if qa := of_nth(t, n, known or sample_scene(t.rng, t.part, ALONE)):
            if known:
                t.asks(qa)
            else:
                _unknown(t, qa.question)


ALONE = replace(POSTED, counts=(1.0, 0.0, 0.0))


def _asked_in_vain(t: Talk) -> tuple[str, str]:
    """What is said to a foreign video, and its kind where the next video may be asked the same."""
    toss, last = t.rng.random(), ""
    if toss < 0.15:
        return change(wish(t), t.rng, t.part, posted=True)[0], last
    if toss < 0.22:
        return t.casual(pick(t.rng, RECREATE, t.part)), last
    scene = sample_scene(t.rng, t.part)
    if toss < 0.5:
        last = choice(t.rng, ["describe", *WHOLE])
        asked = WHOLE[last](scene, t.rng, t.part)
    else:
        asked = sample_question(scene, t.rng, t.part)
    assert asked is not None, "every scene can be described"
    return asked.question, last


def _unknown(t: Talk, text: str, videos: tuple[int, ...] = ()) -> None:
    t.says(text, videos)
    t.replies(limits.UNKNOWN_VIDEO, "decline")


def _unsafe(t: Talk) -> None:
    """Harmful wishes, at the start, after a video or after a drawing; sometimes a good one follows."""
    toss = t.rng.random()
    videos: tuple[int, ...] = ()
    if toss < 0.15:
        videos = t.posts()
        if t.chance(0.6):
            ask_some(t, videos, 1)
            videos = ()
    elif toss < 0.3:
        draw_one(t)
    said, reply = harm.unsafe(t.rng, t.part)
    t.says(t.casual(said), videos)
    t.replies(reply, "refuse")
    if reply == harm.REFUSAL and t.chance(0.25):
        draw_one(t)


def _contrast(t: Talk) -> None:
    """Harmless wishes in words that sound otherwise."""
    request = wish(t)
    while (
        " background with " in (words := rephrase(request, t.rng, t.part))
        or words.startswith(("on ", "over ", *FLOORS))
        or ". " in words
    ):
        pass
    t.says(t.casual(pick(t.rng, harm.CONTRAST, t.part).format(p=words)))
    t.draws(request)


def _mixed(t: Talk) -> None:
    """Several things in one conversation."""
    parts: tuple[Callable[[Talk], object], ...] = (
        chat,
        one_video,
        draw_one,
        edit_drawn,
        edit_posted,
        _decline,
        _unsafe,
    )
    for index in t.rng.choice(7, size=int(t.rng.integers(2, 4)), p=[0.25, 0.2, 0.2, 0.1, 0.1, 0.1, 0.05]):
        parts[int(index)](t)


WRITERS: dict[str, tuple[float, Callable[[Talk], object]]] = {
    "qa": (0.36, one_video),
    "two_videos": (0.08, two_videos),
    "leaning": (0.06, leaning),
    "draw": (0.14, draw_some),
    "edit_drawn": (0.11, edit_drawn),
    "edit_posted": (0.11, edit_posted),
    "smalltalk": (0.04, _smalltalks),
    "impossible": (0.06, _impossible),
    "foreign": (0.03, _foreign),
    "unsafe": (0.04, _unsafe),
    "contrast": (0.015, _contrast),
    "mixed": (0.045, _mixed),
}
"""Every kind of conversation, how often it comes up (by the sum of all), and what writes it."""


def sample_dialogue(
    rng: Rng,
    part: Part = "training",
    kinds: dict[str, float] | None = None,
    source: Callable[[Rng, Part, Mix], Scene] = sample_scene,
) -> Dialogue:
    """A conversation; `kinds` gives shares of other kinds than the usual ones, `source` the posted scenes."""
    shares = kinds or {name: share for name, (share, _) in WRITERS.items()}
    cut = np.cumsum(list(shares.values()))
    kind = list(shares)[int(np.searchsorted(cut, rng.random() * cut[-1]))]
    talking = Talk(rng, part, source)
    if kind not in ("smalltalk", "mixed") and talking.chance(0.05):
        chat(talking, ("hello", "how"))
    WRITERS[kind][1](talking)
    return Dialogue(
        tuple(talking.scenes),
        tuple(talking.turns),
        kind,
        keeps_tags=talking.chance(0.5),
        system=system(rng, part),
    )
