"""A scene as notes: a fixed number of lines, each of a few words, in the order that a reader expects.

    red circle small | red circle left slow | red circle no | red circle one | … | black one | video

The language model learns to answer from notes before it has seen a frame, and the abstractor to write them:
a line is one soft token, the sum of its words' embeddings. Captions say the same, each in its own order, so
that no soft token knows which word is asked of it. Every line about an object names it: one look finds what
is said of it; a name in a line of its own takes two, which a small model was slow to learn. Objects stand by
colour, which no two of them share.
"""

from __future__ import annotations

from gpt4video.shapes.language.answers import number_word, side_of
from gpt4video.shapes.language.describe import place
from gpt4video.shapes.language.refer import canonical
from gpt4video.shapes.world import COLORS, Scene, Thing

Line = tuple[str, ...]
OBJECTS = 3
"""Objects that there is room for."""
PAIRS = tuple((a, b) for a in range(OBJECTS) for b in range(a + 1, OBJECTS))
LINES = 4 * OBJECTS + len(PAIRS) + 2
"""Lines of every scene's notes."""
NOTHING: Line = ("no",)


def notes(scene: Scene) -> list[Line]:
    """All that its pixels show, in `LINES` lines."""
    things = sorted(scene.things, key=lambda t: list(COLORS).index(t.color))
    lines: list[Line] = []
    for slot in range(OBJECTS):
        lines += _object(scene, things[slot]) if slot < len(things) else [NOTHING] * 4
    for a, b in PAIRS:
        lines.append(_pair(scene, things[a], things[b]) if b < len(things) else NOTHING)
    turns = tuple(word for t in things if t.new_color for word in ("turns", t.new_color))
    return [*lines, (scene.background, number_word(len(things)), *turns), ("video",)]


def _object(scene: Scene, thing: Thing) -> list[Line]:
    """What it is; how it moves; what happens to it and when it moves; which it is, and where if it stays."""
    size = (thing.size,) if thing.sized else ()
    moves = (thing.motion, *((thing.speed,) if thing.travels else ()))
    happens: Line = (thing.event,) if thing.event in ("appears", "vanishes") else ()
    if thing.new_color:
        happens = ("turns",)
    if scene.first is not None:
        happens += ("first" if scene.things[scene.first] is thing else "second",)
    number = number_word(1 + [t.color for t in canonical(scene).things].index(thing.color))
    stays = thing.motion in ("still", "spinning")
    where = place(thing.x, thing.y).split()[2:] if stays else []
    name = (thing.color, thing.shape)
    return [(*name, *size), (*name, *moves), (*name, *(happens or NOTHING)), (*name, number, *where)]


def _pair(scene: Scene, a: Thing, b: Thing) -> Line:
    """Where `a` is, seen from `b`, as far as that holds all the time."""
    sides = (side_of(a, b, scene.duration, axis) for axis in "xy")
    words = tuple(side for side in sides if side)
    if scene.passes:
        words += ("behind" if a.color == scene.things[0].color else "front",)
    return (a.color, a.shape, b.color, b.shape, *(words or NOTHING))
