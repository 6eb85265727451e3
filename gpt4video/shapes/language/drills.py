"""Terse questions about scenes of several objects, many in one conversation.

    the thing that hops?                    a green triangle
    the lower shape, red?                   no
    the violet ball, seen from the star?    left and above

A question in whole sentences teaches in one or two of its words; where an answer needs an object to be found
by one of its traits, those are few, and a small model learned to name any trait that is there. Here nearly
every word of an answer tells which object was found.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpt4video.shapes.language.answers import choice, side_of
from gpt4video.shapes.language.describe import (
    COLOR_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    article,
    noun,
    wanted,
    word,
)
from gpt4video.shapes.language.refer import doing, refer
from gpt4video.shapes.language.turns import Turn
from gpt4video.shapes.world import Scene, Thing

Rng = np.random.Generator
Drill = tuple[str, str]

SAYS: dict[str, Callable[[Thing, Rng], str]] = {
    "color": lambda thing, rng: word(rng, COLOR_WORDS[thing.color]),
    "shape": lambda thing, rng: article(word(rng, SHAPE_WORDS[thing.shape])),
    "motion": lambda thing, rng: doing(thing.motion, rng),
    "size": lambda thing, rng: word(rng, SIZE_WORDS[thing.size]),
}
"""A trait of an object in words."""


OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}


def which(scene: Scene, rng: Rng) -> Drill | None:
    """An object by any of its traits: which is it?"""
    index = int(rng.integers(len(scene.things)))
    avoid = choice(rng, ["color", "color", "shape", "motion"])
    named = refer(scene, index, rng, avoid=avoid)
    if named is None:
        return None
    return f"{named.asked}?", article(noun(wanted(scene.things[index])))


def has(scene: Scene, rng: Rng) -> Drill | None:
    """Whether an object has a trait; where not, another object here often has it."""
    index = int(rng.integers(len(scene.things)))
    thing, trait = scene.things[index], choice(rng, list(SAYS))
    others = [t for t in scene.things if getattr(t, trait) != getattr(thing, trait)]
    asked = thing if not others or rng.random() < 0.5 else others[int(rng.integers(len(others)))]
    if trait == "size" and not (thing.sized and asked.sized):
        return None
    if trait == "color" and (thing.event == "recolors" or asked.event == "recolors"):
        return None
    named = refer(scene, index, rng, avoid=trait)
    if named is None:
        return None
    return f"{named.asked}, {SAYS[trait](asked, rng)}?", "yes" if asked is thing else "no"


def there(scene: Scene, rng: Rng) -> Drill | None:
    """Whether a color and a shape stand together; where not, each of them is here."""
    if any(t.event == "recolors" for t in scene.things):
        return None
    first, second = (scene.things[int(i)] for i in rng.choice(len(scene.things), 2))
    here = any((t.color, t.shape) == (first.color, second.shape) for t in scene.things)
    color, shape = word(rng, COLOR_WORDS[first.color]), word(rng, SHAPE_WORDS[second.shape])
    return f"{article(f'{color} {shape}')}?", "yes" if here else "no"


def side(scene: Scene, rng: Rng) -> Drill | None:
    """Where an object is, seen from another; or whether it is there."""
    a, b = (int(i) for i in rng.choice(len(scene.things), 2, replace=False))
    sides = [side_of(scene.things[a], scene.things[b], scene.duration, axis) for axis in "xy"]
    known = [s for s in sides if s]
    named, other = refer(scene, a, rng, "side"), refer(scene, b, rng, "side")
    if not known or named is None or other is None:
        return None
    if rng.random() < 0.4:
        at, yes = choice(rng, known), bool(rng.random() < 0.5)
        at = at if yes else OPPOSITE[at]
        words = f"{at} of" if at in ("left", "right") else at
        return f"{named.asked} {words} {other.asked}?", "yes" if yes else "no"
    return f"{named.asked}, seen from {other.asked}?", " and ".join(known)


DRILLS = (which, which, has, has, there, side, side)
"""The kinds of drills, by how often they come."""


def drills(scene: Scene, rng: Rng, count: int) -> tuple[Turn, ...]:
    """A conversation of so many drills about a scene of two or three objects."""
    turns: list[Turn] = []
    while len(turns) < 2 * count:
        drill = DRILLS[int(rng.integers(len(DRILLS)))](scene, rng)
        if drill is None:
            continue
        videos = () if turns else (0,)
        turns += [Turn("user", drill[0], videos), Turn("assistant", drill[1])]
    return tuple(turns)
