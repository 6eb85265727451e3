"""Wishes that cannot be met, and what is replied: things outside the world of shapes.

Nouns are held out too (every tenth is seen in validation only, another in test only): a model must decline
words that it never met.

things.py   things that are not in the world
talk.py     what is no wish for a video
traits.py   numbers, colors, motions, lengths and backgrounds that nothing here has
"""

from __future__ import annotations

import numpy as np

from gpt4video.shapes.language.describe import article, pick
from gpt4video.shapes.language.limits.talk import (
    FACTS,
    SEEN,
    TOPICS,
    WRITE,
)
from gpt4video.shapes.language.limits.things import (
    DRAW_MIXED,
    DRAW_WHAT,
    EDIT_WHAT,
    NOUNS,
    PLACES,
)
from gpt4video.shapes.language.limits.traits import (
    EDIT_BACKGROUND,
    EDIT_COLOR,
    EDIT_MOTION,
    EDIT_TWINS,
    LONG,
    MANY,
    ODD_BACKGROUND,
    ODD_COLOR,
    ODD_COLORS,
    ODD_MOTION,
    SOUND,
    TWINS,
)
from gpt4video.shapes.language.smalltalk import BACKGROUNDS_REPLY, COLORS_REPLY, MOTIONS_REPLY
from gpt4video.shapes.world import Part

Rng = np.random.Generator

CANNOT_DRAW = "I cannot draw that. I can draw circles, squares, triangles, stars, crosses and rings."
CANNOT_TALK = "I cannot help with that. I can talk about videos of moving shapes, and draw them."
CANNOT_SEE = "I cannot tell that. I only see shapes and how they move."
UNKNOWN_VIDEO = (
    "I cannot make out this video. I only know up to three simple shapes that move on a plain background."
)
NO_VIDEO = "There is no video yet. Please post one, or ask me to draw one."
TOO_MANY = "I can draw at most three objects."
NO_COLOR = "I cannot draw that color. " + COLORS_REPLY
NO_MOTION = "I cannot draw that motion. " + MOTIONS_REPLY
NO_BACKGROUND = "I cannot draw that background. " + BACKGROUNDS_REPLY
NO_TWINS = "Objects in one video need different colors. Please give each its own color."
NO_SOUND = "I cannot make sound, only short videos of moving shapes."
TOO_LONG = "My videos are about two seconds long. I cannot draw longer ones."


def held(rng: Rng, words: tuple[str, ...], part: Part) -> str:
    """One word that `part` may use; held-out ones come up in a third of their part's draws."""
    mine = words[{"training": 0, "validation": 8, "test": 9}[part] :: 10]
    if part != "training" and rng.random() < 1 / 3:
        return mine[int(rng.integers(len(mine)))]
    while True:
        index = int(rng.integers(len(words)))
        if index % 10 < 8:
            return words[index]


_COLORS = ("red", "green", "blue", "yellow", "purple", "pink", "cyan")
"""Those that "a" may stand before."""


def _fill(rng: Rng, part: Part, templates: tuple[str, ...]) -> str:
    """A template with words of the world and words from outside it.

    n    a thing that cannot be drawn, n0 without its article    k    a number that is too large
    s, c, m    a shape, a color, a way to move; q    a color that a background shall have
    o    a color that nothing has, w    one that no object has
    """
    noun = held(rng, NOUNS, part)
    plural = ("circles", "squares", "triangles", "stars", "crosses", "rings")
    singular = ("circle", "square", "triangle", "star", "cross", "ring")
    template = pick(rng, templates, part)
    behind = ("white", "white", "black", "black", "gray", "dark blue")  # no object has a background's color
    numbers = ("four", "five", "six", "seven", "ten", "twenty", "a hundred", "many", "4", "5", "10")
    kinds = plural if "{k}" in template or template in TWINS else singular
    text = template.format(
        n=article(noun),
        n0=noun,
        t=article(held(rng, TOPICS, part)),
        k=numbers[int(rng.integers(len(numbers)))],
        s=kinds[int(rng.integers(6))],
        c=_COLORS[int(rng.integers(7))],
        q=_COLORS[int(rng.integers(7))],
        m=("left", "right", "up", "down")[int(rng.integers(4))],
        o=held(rng, ODD_COLORS, part),
        w=behind[int(rng.integers(6))] if rng.random() < 0.5 else held(rng, ODD_COLORS, part),
    )
    return text[:1].upper() + text[1:]


Table = tuple[tuple[float, tuple[str, ...], str], ...]
"""Up to which toss come which templates, and their reply."""


def _drawn(rng: Rng, part: Part, table: Table, toss: float) -> tuple[str, str]:
    _, templates, reply = next(row for row in table if toss < row[0])
    return _fill(rng, part, templates), reply


def impossible(rng: Rng, part: Part) -> tuple[str, str]:
    """A wish outside the world, and what it can do instead."""
    toss = rng.random()
    if toss < 0.34:
        noun = article(held(rng, NOUNS, part))
        if rng.random() < 0.35:
            noun += " " + held(rng, PLACES, part)
        text = pick(rng, DRAW_WHAT, part).format(n=noun)
        return text[:1].upper() + text[1:], CANNOT_DRAW
    table: Table = (
        (0.46, DRAW_MIXED, CANNOT_DRAW),
        (0.60, WRITE, CANNOT_TALK),
        (0.76, FACTS, CANNOT_TALK),
        (0.80, MANY, TOO_MANY),
        (0.82, TWINS, NO_TWINS),
        (0.87, ODD_COLOR, NO_COLOR),
        (0.91, ODD_MOTION, NO_MOTION),
        (0.94, LONG, TOO_LONG),
        (0.97, SOUND, NO_SOUND),
        (1.01, ODD_BACKGROUND, NO_BACKGROUND),
    )
    return _drawn(rng, part, table, toss)


def impossible_edit(rng: Rng, part: Part, objects: int) -> tuple[str, str]:
    """A change that leads outside the world, of a video with so many objects."""
    table: Table = (
        (0.35, EDIT_WHAT, CANNOT_DRAW),
        (0.6, EDIT_COLOR, NO_COLOR),
        (0.75, EDIT_MOTION, NO_MOTION),
        (0.85, EDIT_BACKGROUND, NO_BACKGROUND),
        (1.01, EDIT_TWINS, NO_TWINS),
    )
    return _drawn(rng, part, table, rng.random() * (1.0 if objects == 1 else 0.85))  # two of which?


def unseen(rng: Rng, part: Part) -> tuple[str, str]:
    """A question about a posted video that shapes cannot answer."""
    return pick(rng, SEEN, part), CANNOT_SEE
