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
    full_request,
    noun,
    prompt,
    wanted,
    word,
)
from gpt4video.shapes.world import MOTIONS, Scene, Thing, above, left_of

VERBS: dict[str, tuple[str, ...]] = {
    "left": ("move left", "move left", "move to the left", "go left", "slide left", "drift left"),
    "right": ("move right", "move right", "move to the right", "go right", "slide right", "drift right"),
    "up": ("move up", "move up", "move upwards", "go up", "rise", "float up"),
    "down": ("move down", "move down", "move downwards", "go down", "fall", "sink down"),
    "circling": ("move in a circle", "move in a circle", "go around in a circle", "orbit"),
    "bouncing": ("bounce", "bounce", "bounce up and down", "hop", "jump up and down"),
    "growing": ("grow", "grow", "get bigger", "get larger", "expand"),
    "shrinking": ("shrink", "shrink", "get smaller", "become smaller", "contract"),
    "spinning": ("spin", "spin", "rotate", "turn around", "spin around"),
    "still": ("stay still", "stand still", "stay still"),
}
"""What an object may do, as people ask for it; the canonical verb stands first."""
for _way, _words in {
    "left": (
        "move from right to left",
        "travel left",
        "fly to the left",
        "head left",
        "move towards the left",
    ),
    "right": (
        "move from left to right",
        "travel right",
        "fly to the right",
        "head right",
        "move towards the right",
    ),
    "up": ("move upward", "travel upwards", "fly up", "move from bottom to top", "head up"),
    "down": ("move downward", "travel downwards", "drop down", "move from top to bottom", "head down"),
    "circling": ("move in circles", "run in a circle"),
    "bouncing": ("bounce around", "jump"),
    "growing": ("become larger", "become bigger", "grow bigger"),
    "shrinking": ("become smaller", "shrink down"),
    "spinning": ("turn", "rotate in place"),
}.items():
    VERBS[_way] = (*VERBS[_way], *_words)


def third(verb: str) -> str:
    """`goes up` from `go up`."""
    first, _, rest = verb.partition(" ")
    ending = {"go": "goes", "fly": "flies"}.get(first, f"{first}s")
    return f"{ending} {rest}".strip()


def doing(motion: str, rng: np.random.Generator | None = None) -> str:
    """What stands after "is": `moving left`."""
    words = MOTION_WORDS[motion]
    if rng is not None and motion != "still" and rng.random() < 0.2:
        return gerund(word(rng, VERBS[motion]))
    return word(rng, words[:4] if motion == "still" else words)


def gerund(verb: str) -> str:
    """`moving left` from `move left`."""
    first, _, rest = verb.partition(" ")
    stem = {"get": "gett", "run": "runn", "spin": "spinn", "drop": "dropp", "hop": "hopp"}.get(
        first, first.removesuffix("e")
    )
    return f"{stem}ing {rest}".strip()


class Named(NamedTuple):
    """An object as the question puts it, and as the answer does."""

    asked: str
    said: str


THINGS = ("object", "object", "shape", "thing", "one")


def refer(scene: Scene, index: int, rng: np.random.Generator, avoid: str = "") -> Named | None:
    """Words that mean this object and no other, without giving away `avoid`; None where there are none."""
    thing = scene.things[index]
    others = [t for i, t in enumerate(scene.things) if i != index]
    alone = not others
    ways: list[str] = []
    recolors = thing.event == "recolors"
    if alone:
        ways += ["it", "it", "the"]
    if avoid != "shape" and all(t.shape != thing.shape for t in others):
        ways += ["shape"] * 4
    if avoid != "color" and not recolors:
        ways += ["color"] * (1 if alone else 3)
        if avoid != "shape":
            ways += ["noun"] * (1 if alone else 3)
    if not alone:
        if avoid not in ("motion", "side") and all(t.motion != thing.motion for t in others):
            ways += ["motion"] * 2
        if (
            avoid != "size"
            and all(t.sized for t in scene.things)
            and all(t.size != thing.size for t in others)
        ):
            ways.append("size")
        if avoid not in ("speed", "side") and len(others) == 1 and thing.travels and others[0].travels:
            ways += ["speed"] * (others[0].speed != thing.speed)
        if avoid not in ("event", "side") and thing.event and not recolors:
            ways += ["event"] * 2
        if avoid not in ("order", "side") and scene.order:
            ways.append("order")
        if avoid != "side":
            ways += [w for w in ("left", "right", "above", "below") if at_side(scene, index, w)]
    if not ways and recolors and avoid not in ("shape", "color"):
        ways = ["noun"]
    if not ways:
        return None
    way = ways[int(rng.integers(len(ways)))]
    what = word(rng, THINGS)
    if way == "it":
        named = Named("it", "it")
    elif way == "the":
        named = Named(f"the {word(rng, THINGS[:-1])}", "it")
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
    if alone and avoid != "shape":
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
