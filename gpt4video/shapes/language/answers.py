"""What questions and answers are made of: a key for an object, numbers in words, sides that hold."""

from __future__ import annotations

import numpy as np

from gpt4video.shapes.language.describe import COUNT_WORDS
from gpt4video.shapes.language.judge import Key
from gpt4video.shapes.world import Scene, Thing, above, left_of

Rng = np.random.Generator


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def any_thing(scene: Scene, rng: Rng) -> int:
    return int(rng.integers(len(scene.things)))


def choice(rng: Rng, options: list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def object_key(scene: Scene, thing: Thing) -> Key:
    """A reply must name this object."""
    unique = sum(t.shape == thing.shape for t in scene.things) == 1
    allowed = (thing.new_color,) if thing.new_color else ()
    return Key("object" if unique else "object_by_color", (thing.color, thing.shape), allowed)


def there_are(number: int, what: str) -> str:
    plural = f"{what}es" if what.endswith(("s", "x")) else f"{what}s"
    return f"There is one {what}." if number == 1 else f"There are {COUNT_WORDS[number]} {plural}."


def number_word(number: int) -> str:
    return ("zero", *COUNT_WORDS[1:])[number]


def pair_of(scene: Scene, rng: Rng) -> tuple[int, int] | None:
    if len(scene.things) < 2:
        return None
    i, j = (int(k) for k in rng.permutation(len(scene.things))[:2])
    return i, j


def side_of(a: Thing, b: Thing, duration: float, axis: str) -> str | None:
    """Where `a` is, seen from `b`, if that holds all the time."""
    if axis == "x":
        return {True: "left", False: "right", None: None}[left_of(a, b, duration)]
    return {True: "above", False: "below", None: None}[above(a, b, duration)]


SIDE_WORDS = {"left": "left of", "right": "right of", "above": "above", "below": "below"}
