"""A scene as notes: a fixed number of lines, each of a few words, in the order that a reader expects.

    red circle left small slow one | … | red circle left Blue squares | … | black two | video

The language model learns to answer from notes before it has seen a frame, and the abstractor to write them:
a line is one soft token, the sum of its words' embeddings. Captions say the same, each in its own order, so
that no soft token knows which word is asked of it.

A sum has no order, so a line must read the same however its words are turned. All that is said of an object
stands in one line: whatever a question calls it by, one look finds the rest. A pair has two lines, one from
either side; the other object is named in words of its own (`Blue squares`), so that nobody takes it for the
line's. Objects stand by colour, which no two of them share.
"""

from __future__ import annotations

from gpt4video.shapes.language.answers import number_word, side_of
from gpt4video.shapes.language.describe import place
from gpt4video.shapes.language.refer import at_side, canonical
from gpt4video.shapes.world import COLORS, SHAPES, Scene, Thing

Line = tuple[str, ...]
OBJECTS = 3
"""Objects that there is room for."""
PAIRS = tuple((a, b) for a in range(OBJECTS) for b in range(OBJECTS) if a != b)
LINES = OBJECTS + len(PAIRS) + 2
"""Lines of every scene's notes."""
PLURALS = {shape: shape + ("es" if shape.endswith("s") else "s") for shape in SHAPES}
NOTHING: Line = ("no",)
FURTHEST = {"left": "Left", "right": "Right", "above": "above", "below": "below"}
"""What is said of an object beyond all others on a side."""


def notes(scene: Scene) -> list[Line]:
    """All that its pixels show, in `LINES` lines."""
    things = sorted(scene.things, key=lambda t: list(COLORS).index(t.color))
    there = len(things)
    lines: list[Line] = [_object(scene, things[k]) if k < there else NOTHING for k in range(OBJECTS)]
    for a, b in PAIRS:
        lines.append(_pair(scene, things[a], things[b]) if max(a, b) < there else NOTHING)
    turns = [word for t in things if t.new_color for word in ("turns", t.new_color)]
    return [*lines, (scene.background, number_word(there), *turns), ("video",)]


def _object(scene: Scene, thing: Thing) -> Line:
    """What it is and does and what happens to it; which it is; where it is, if it stays, and beyond whom."""
    words = [thing.color, thing.shape, thing.motion]
    if thing.sized:
        words.append(thing.size)
    if thing.travels:
        words.append(thing.speed)
    if thing.event:
        words.append("turns" if thing.new_color else thing.event)
    if scene.first is not None:
        words.append("first" if scene.things[scene.first] is thing else "second")
    ordered = canonical(scene)
    index = [t.color for t in ordered.things].index(thing.color)
    words.append(number_word(1 + index))
    stays = thing.motion in ("still", "spinning")
    where = place(thing.x, thing.y).split()[2:] if stays else []
    if len(scene.things) > 1:
        where += [said for side, said in FURTHEST.items() if at_side(ordered, index, side)]
    return (*words, *where)


def _pair(scene: Scene, a: Thing, b: Thing) -> Line:
    """Where `a` is, seen from `b`, as far as that holds all the time."""
    sides = [side for axis in "xy" if (side := side_of(a, b, scene.duration, axis))]
    if scene.passes:
        sides.append("behind" if a.color == scene.things[0].color else "front")
    return (a.color, a.shape, *(sides or NOTHING), b.color.capitalize(), PLURALS[b.shape])
