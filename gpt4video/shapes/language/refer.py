"""How a question points at one of several objects, and verbs for what objects do."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gpt4video.shapes.language.describe import (
    COLOR_WORDS,
    MOTION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    STANDING,
    full_request,
    noun,
    prompt,
    wanted,
    word,
)
from gpt4video.shapes.world import MOTIONS, Scene, Thing, above, left_of


def _sideways(way: str, other: str) -> tuple[str, ...]:
    return (
        *(f"move {way}",) * 3,
        f"move to the {way}",
        f"move to the {way}",
        f"go {way}",
        f"go {way}",
        f"go to the {way}",
        f"slide {way}",
        f"drift {way}",
        f"drift to the {way}",
        f"move from {other} to {way}",
        f"go from {other} to {way}",
        f"travel {way}",
        f"fly to the {way}",
        f"fly {way}",
        f"head {way}",
        f"head to the {way}",
        f"move towards the {way}",
        f"move {way}wards",
        f"glide {way}",
        f"float {way}",
    )


VERBS: dict[str, tuple[str, ...]] = {
    "left": _sideways("left", "right"),
    "right": _sideways("right", "left"),
    "up": (
        *("move up",) * 3,
        "move upwards",
        "move upward",
        "go up",
        "go up",
        "go upwards",
        "rise",
        "rise",
        "float up",
        "travel upwards",
        "fly up",
        "fly upwards",
        "climb",
        "ascend",
        "move from bottom to top",
        "move to the top",
        "head up",
        "drift up",
    ),
    "down": (
        *("move down",) * 3,
        "move downwards",
        "move downward",
        "go down",
        "go down",
        "go downwards",
        "fall",
        "fall",
        "fall down",
        "sink",
        "sink down",
        "travel downwards",
        "drop down",
        "drop",
        "descend",
        "move from top to bottom",
        "move to the bottom",
        "head down",
        "drift down",
    ),
    "circling": (
        *("move in a circle",) * 3,
        "go around in a circle",
        "go round in circles",
        "go around in circles",
        "go round in a circle",
        "move in circles",
        "run in a circle",
        "run in circles",
        "fly in a circle",
        "orbit",
    ),
    "bouncing": (
        *("bounce",) * 4,
        "bounce up and down",
        "bounce up and down",
        "hop",
        "hop up and down",
        "jump",
        "jump up and down",
        "bounce around",
    ),
    "growing": (
        *("grow",) * 4,
        "get bigger",
        "get bigger",
        "get larger",
        "become larger",
        "become bigger",
        "grow bigger",
        "get bigger and bigger",
        "grow in size",
        "expand",
    ),
    "shrinking": (
        *("shrink",) * 4,
        "get smaller",
        "get smaller",
        "become smaller",
        "get smaller and smaller",
        "shrink down",
        "shrink in size",
        "contract",
    ),
    "spinning": (
        *("spin",) * 4,
        "rotate",
        "rotate",
        "turn around",
        "turn",
        "spin around",
        "spin round",
        "spin in place",
        "spin on the spot",
        "turn on the spot",
        "rotate in place",
        "twirl",
    ),
    "still": (
        *("stay still",) * 3,
        "stand still",
        "stand still",
        "sit still",
        "stay in place",
        "stay where it is",
    ),
}
"""What an object may do, as people ask for it; the canonical verb stands first."""
STOPS = ("stop moving", "stop", "not move", "not move", "hold still", "stay put")
"""What an object shall do that is to stay still from now on: orders only."""


def third(verb: str) -> str:
    """`goes up` from `go up`."""
    first, _, rest = verb.partition(" ")
    ending = THIRD.get(first, f"{first}s")
    return f"{ending} {rest}".strip()


THIRD = {"go": "goes", "fly": "flies", "not": "does not", "dash": "dashes", "rush": "rushes"}
STEMS = {
    "get": "gett",
    "run": "runn",
    "spin": "spinn",
    "drop": "dropp",
    "hop": "hopp",
    "sit": "sitt",
    "zip": "zipp",
    "travel": "travell",
}


def doing(motion: str, rng: np.random.Generator | None = None) -> str:
    """What stands after "is": `moving left`."""
    if motion == "still":
        return word(rng, STANDING)
    if rng is not None and rng.random() < 0.2:
        return gerund(word(rng, VERBS[motion]))
    return word(rng, MOTION_WORDS[motion])


def gerund(verb: str) -> str:
    """`moving left` from `move left`."""
    first, _, rest = verb.partition(" ")
    return f"{STEMS.get(first, first.removesuffix('e'))}ing {rest}".strip()


class Named(NamedTuple):
    """An object as the question puts it, and as the answer does."""

    asked: str
    said: str


THINGS = ("object", "object", "object", "shape", "thing", "thing", "figure", "item", "one", "one")


def refer(
    scene: Scene, index: int, rng: np.random.Generator, avoid: str | tuple[str, ...] = ""
) -> Named | None:
    """Words that mean this object alone and give away no trait in `avoid`; None where there are none."""
    shunned = {avoid} if isinstance(avoid, str) else {*avoid}
    thing = scene.things[index]
    others = [t for i, t in enumerate(scene.things) if i != index]
    alone = not others
    ways: list[str] = []
    recolors = thing.event == "recolors"
    if alone:
        ways += ["it", "it", "the"]
    if "shape" not in shunned and all(t.shape != thing.shape for t in others):
        ways += ["shape"] * 4
    if "color" not in shunned and not recolors:
        ways += ["color"] * (1 if alone else 3)
        if "shape" not in shunned:
            ways += ["noun"] * (1 if alone else 3)
    if not alone:
        if shunned.isdisjoint(("motion", "side")) and all(t.motion != thing.motion for t in others):
            ways += ["motion"] * 2
        if (
            "size" not in shunned
            and all(t.sized for t in scene.things)
            and all(t.size != thing.size for t in others)
        ):
            ways.append("size")
        if shunned.isdisjoint(("speed", "side")) and len(others) == 1 and thing.travels and others[0].travels:
            ways += ["speed"] * (others[0].speed != thing.speed)
        if shunned.isdisjoint(("event", "side")) and thing.event and not recolors:
            ways += ["event"] * 2
        if shunned.isdisjoint(("order", "side")) and scene.order:
            ways.append("order")
        if "side" not in shunned:
            ways += [w for w in ("left", "right", "above", "below") if at_side(scene, index, w)]
    if not ways and recolors and shunned.isdisjoint(("shape", "color")):
        ways = ["noun"]
    if not ways:
        return None
    way = ways[int(rng.integers(len(ways)))]
    what = word(rng, THINGS)
    if way == "it":
        named = Named("it", "it")
    elif way == "the":
        named = Named(f"the {word(rng, THINGS[:-2])}", "it")
    elif way == "shape":
        named = Named(f"the {word(rng, SHAPE_WORDS[thing.shape])}", f"the {thing.shape}")
    elif way == "color":
        named = Named(f"the {word(rng, COLOR_WORDS[thing.color])} {what}", f"the {thing.color} object")
    elif way == "noun":
        named = Named(f"the {noun(wanted(thing), rng)}", f"the {noun(wanted(thing))}")
    elif way == "motion":
        named = Named(_by_motion(thing, what, rng), f"the object {doing(thing.motion)}")
    elif way == "size":
        more = {"small": ("smaller",), "large": ("bigger", "larger")}[thing.size] if len(others) == 1 else ()
        words = (*SIZE_WORDS[thing.size], *more)
        named = Named(f"the {word(rng, words)} {what}", f"the {thing.size} object")
    elif way == "speed":
        words = {"slow": ("slower", "slow"), "fast": ("faster", "fast", "quicker")}[thing.speed]
        named = Named(f"the {word(rng, words)} {what}", f"the {thing.speed} object")
    elif way == "event":
        asked, said = HAPPENING[str(thing.event)]
        named = Named(f"the {what} that {word(rng, asked)}", f"the object that {said}")
    elif way == "order":
        place = "first" if scene.first == index else "second"
        words = ("first",) if place == "first" else ("second", "last")
        named = Named(f"the {what} that moves {word(rng, words)}", f"the object that moves {place}")
    else:
        asked, said = SIDES[way]
        named = Named(word(rng, asked).format(what=what), said)
    if alone and "shape" not in shunned:
        return Named(named.asked, f"the {thing.shape}")
    return Named(named.asked, "it") if alone else named


HAPPENING: dict[str, tuple[tuple[str, ...], str]] = {
    "appears": (("appears", "shows up", "comes into view"), "appears"),
    "vanishes": (("vanishes", "disappears", "goes away"), "vanishes"),
}
SIDES: dict[str, tuple[tuple[str, ...], str]] = {
    "left": (("the {what} on the left", "the left {what}"), "the object on the left"),
    "right": (("the {what} on the right", "the right {what}"), "the object on the right"),
    "above": (("the {what} at the top", "the upper {what}"), "the object at the top"),
    "below": (("the {what} at the bottom", "the lower {what}"), "the object at the bottom"),
}


def _by_motion(thing: Thing, what: str, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return f"the {what} that {third(word(rng, VERBS[thing.motion]))}"
    words = doing(thing.motion, rng)
    if " " not in words and rng.random() < 0.5:
        return f"the {words} {what}"
    if rng.random() < 0.25:
        which = word(rng, ("that is", "which is", "that's"))
        return f"the {what} {which} {words}"
    return f"the {what} {words}"


def at_side(scene: Scene, index: int, side: str) -> bool:
    """Whether the object is beyond all others on this side, all the time."""
    thing = scene.things[index]
    others = [t for i, t in enumerate(scene.things) if i != index]
    test = left_of if side in ("left", "right") else above
    return all(test(thing, t, scene.duration) is (side in ("left", "above")) for t in others)


def canonical(scene: Scene) -> Scene:
    """The scene with its objects in an order that pixels show: passed before passer, else left before
    right, else upper before lower where one of these holds all the time, else by x at the start."""
    if scene.passes:
        return scene
    things = sorted(scene.things, key=lambda t: float(t.at(np.zeros(1), scene.duration).x[0]))
    if len(things) == 2:
        a, b = things
        if left_of(a, b, scene.duration) is None and above(b, a, scene.duration):
            things = [b, a]
    return replace(scene, things=tuple(things))


def description(scene: Scene) -> str:
    """The canonical prompt of all that the video shows."""
    return prompt(full_request(canonical(scene)))


assert set(VERBS) == set(MOTIONS), "every motion has its verbs"
