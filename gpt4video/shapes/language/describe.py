"""Scenes in words: what is asked for (`Request`), the canonical prompt, and paraphrases of it.

    request_of(scene, rng)  -> Request            a truthful choice of what to say of a scene
    prompt(request)         -> "a small red circle moving left on a white background"
    paraphrase(request, rng, part)                the same, as people might put it

The language model writes `prompt(…)` into its instructions, whatever words people used. Sentence templates
are held out by part; single words are not, since nobody could know what an unseen word means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gpt4video.shapes.world import Part, Scene, Thing, above, left_of

Relation = Literal["left_of", "above", "passes"]


@dataclass(frozen=True)
class Wanted:
    """What is said of one object; None is left unsaid."""

    shape: str
    color: str | None = None
    size: str | None = None
    motion: str | None = None
    speed: str | None = None


@dataclass(frozen=True)
class Request:
    """What is said of a video: its objects, its background, and how the first two objects relate."""

    things: tuple[Wanted, ...]
    background: str | None = None
    relation: Relation | None = None
    """`left_of`, `above`: the first object is left of, above the second. `passes`: the second object
    passes in front of the first."""


SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "circle", "circle", "disc", "dot", "ball", "disk"),
    "square": ("square", "square", "square", "box", "block"),
    "triangle": ("triangle",),
    "star": ("star",),
    "cross": ("cross", "cross", "cross", "plus sign", "plus"),
    "ring": ("ring", "ring", "ring", "ring", "donut", "hoop", "doughnut"),
}
COLOR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red",),
    "green": ("green",),
    "blue": ("blue",),
    "yellow": ("yellow",),
    "orange": ("orange",),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink",),
    "cyan": ("cyan", "cyan", "cyan", "turquoise", "turquoise", "aqua", "light blue"),
}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "small", "small", "small", "little", "little", "tiny", "tiny", "mini", "very small"),
    "large": (
        "large",
        "large",
        "large",
        "big",
        "big",
        "big",
        "huge",
        "huge",
        "giant",
        "enormous",
        "gigantic",
        "very big",
        "massive",
    ),
}
BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "black": ("black",),
    "white": ("white",),
    "gray": ("gray", "gray", "grey"),
    "navy": ("navy", "navy", "navy", "dark blue", "dark blue", "navy blue"),
}


def _sideways(way: str, other: str) -> tuple[str, ...]:
    return (
        *(f"moving {way}",) * 5,
        f"moving to the {way}",
        f"moving to the {way}",
        f"going {way}",
        f"going to the {way}",
        f"sliding {way}",
        f"drifting to the {way}",
        f"drifting {way}",
        f"heading {way}",
        f"travelling {way}",
        f"flying to the {way}",
        f"gliding {way}",
        f"floating to the {way}",
        f"moving towards the {way}",
        f"moving {way}wards",
        f"moving from {other} to {way}",
        f"going from {other} to {way}",
    )


MOTION_WORDS: dict[str, tuple[str, ...]] = {
    "left": _sideways("left", "right"),
    "right": _sideways("right", "left"),
    "up": (
        *("moving up",) * 4,
        "moving upwards",
        "moving upward",
        "going up",
        "going up",
        "going upwards",
        "rising",
        "rising",
        "floating up",
        "flying up",
        "flying upwards",
        "heading up",
        "heading upwards",
        "climbing",
        "ascending",
        "drifting up",
        "moving to the top",
        "moving from bottom to top",
    ),
    "down": (
        *("moving down",) * 4,
        "moving downwards",
        "moving downward",
        "going down",
        "going down",
        "going downwards",
        "falling",
        "falling",
        "falling down",
        "sinking down",
        "sinking",
        "heading down",
        "heading downwards",
        "dropping",
        "descending",
        "drifting down",
        "moving to the bottom",
        "moving from top to bottom",
    ),
    "circling": (
        *("moving in a circle",) * 3,
        "circling",
        "circling",
        "going around in a circle",
        "going round in a circle",
        "going round in circles",
        "going around in circles",
        "moving in circles",
        "running in circles",
        "flying in a circle",
        "circling around",
        "orbiting",
    ),
    "bouncing": (
        *("bouncing",) * 4,
        "bouncing up and down",
        "bouncing up and down",
        "hopping",
        "hopping up and down",
        "jumping",
        "jumping up and down",
    ),
    "growing": (
        *("growing",) * 4,
        "getting bigger",
        "getting bigger",
        "getting larger",
        "becoming bigger",
        "becoming larger",
        "growing bigger",
        "getting bigger and bigger",
        "growing in size",
        "expanding",
    ),
    "shrinking": (
        *("shrinking",) * 4,
        "getting smaller",
        "getting smaller",
        "becoming smaller",
        "getting smaller and smaller",
        "shrinking in size",
        "contracting",
    ),
    "spinning": (
        *("spinning",) * 4,
        "rotating",
        "rotating",
        "turning around",
        "spinning around",
        "spinning round",
        "spinning in place",
        "spinning on the spot",
        "turning on the spot",
        "rotating in place",
        "twirling",
    ),
    "still": (
        *("staying still",) * 3,
        "standing still",
        "standing still",
        "not moving",
        "not moving",
        "sitting still",
        "motionless",
        "staying in place",
        "stationary",
        "static",
        "not moving at all",
        "that does not move",
        "that doesn't move",
        "that stays still",
        "that stays where it is",
    ),
}
STANDING = tuple(words for words in MOTION_WORDS["still"] if not words.startswith("that "))
"""Words for what stays still that may stand after "is"."""
SPEED_WORDS: dict[str, tuple[str, ...]] = {
    "slow": (
        *("slowly",) * 4,
        "at a slow speed",
        "very slowly",
        "really slowly",
        "at low speed",
        "slow",
        "gently",
    ),
    "fast": (
        *("quickly",) * 3,
        "fast",
        "fast",
        "fast",
        "at high speed",
        "very fast",
        "really fast",
        "rapidly",
    ),
}
COUNT_WORDS = ("no", "one", "two", "three")

# Held-out templates: the last but one of each list is seen in validation only, the last one in test only.
CAPTIONS = (
    "{things} on a {background} background",
    "{things} on a {background} background",
    "{things}, on a {background} background",
    "on a {background} background, {things}",
    "a {background} background with {things}",
    "a video of {things} on a {background} background",
    "{things} against a {background} background",
    "{things} in front of a {background} background",
    "{things} on a {background} backdrop",
    "{things} on {background}",
    "{things} with a {background} background",
    "{things}, {background} background",
    "{background} background, {things}",
    "on {background}, {things}",
    "a {background} background and {things}",
    "{things} and a {background} background",
    "over a {background} background you see {things}",
    "a clip with a {background} background and {things} in it",
)
BARE = (
    "{things}",
    "{things}",
    "{things}",
    "a video of {things}",
    "a clip of {things}",
    "an animation of {things}",
    "a short video showing {things}",
    "a video with {things}",
    "a clip with {things}",
    "a short clip of {things}",
    "a video showing {things}",
    "one sees {things}",
    "a scene in which there is {things}",
)
RELATIONS: dict[Relation, tuple[str, ...]] = {
    "left_of": (
        ", with the {a} left of the {b}",
        ", with the {a} left of the {b}",
        ", the {a} to the left of the {b}",
        ", with the {b} right of the {a}",
        ", the {a} on the left of the {b}",
        ", the {a} left of the {b}",
        ", the {a} on the left",
        ", with the {a} on the left",
        ", the {b} on the right",
        ", the {b} to the right of the {a}",
        ", with the {b} to the right of the {a}",
        ", the {a} on the left and the {b} on the right",
        "; the {a} is left of the {b}",
        ". The {a} is on the left",
        ". The {b} is on the right of the {a}",
        ". The {a} should be left of the {b}",
        ", where the {a} is to the left",
        ", and the {a} is on the left of the {b}",
        ", where the {b} is to the right of the {a}",
    ),
    "above": (
        ", with the {a} above the {b}",
        ", with the {a} above the {b}",
        ", the {a} over the {b}",
        ", with the {b} below the {a}",
        ", the {a} above the {b}",
        ", the {a} on top",
        ", with the {a} on top",
        ", the {b} below the {a}",
        ", the {b} underneath the {a}",
        ", with the {b} under the {a}",
        ", the {a} at the top and the {b} at the bottom",
        ", the {a} higher up",
        "; the {a} is above the {b}",
        ". The {a} is above the {b}",
        ". The {b} is below the {a}",
        ". The {a} should be above the {b}",
        ", where the {b} is below",
        ", and the {a} is higher than the {b}",
        ", where the {b} is under the {a}",
    ),
    "passes": (
        ", with the {b} passing in front of the {a}",
        ", with the {b} passing in front of the {a}",
        ", the {b} passes in front of the {a}",
        ", with the {a} behind the {b}",
        ", the {b} passing in front of the {a}",
        ", the {b} in front of the {a}",
        ", the {b} goes past in front of the {a}",
        ", the {a} behind the {b}",
        ", with the {b} going in front of the {a}",
        "; the {b} passes in front of the {a}",
        ". The {b} passes in front of the {a}",
        ". The {b} should pass in front of the {a}",
        ", and the {b} moves in front of the {a}",
        ", and the {b} goes by in front of the {a}",
        ", where the {a} is passed by the {b} in front",
    ),
}


def pick(rng: np.random.Generator, templates: tuple[str, ...], part: Part) -> str:
    """One template that `part` may use; the held-out ones come up in a third of their part's draws."""
    if part == "training":
        return templates[int(rng.integers(len(templates) - 2))]
    if rng.random() < 1 / 3:
        return templates[-2 if part == "validation" else -1]
    return templates[int(rng.integers(len(templates) - 2))]


def word(rng: np.random.Generator | None, words: tuple[str, ...]) -> str:
    """A synonym; without `rng` the canonical word, which stands first."""
    return words[0] if rng is None else words[int(rng.integers(len(words)))]


def noun(wanted: Wanted, rng: np.random.Generator | None = None) -> str:
    """`red circle`, the shortest name of an object."""
    color = "" if wanted.color is None else word(rng, COLOR_WORDS[wanted.color]) + " "
    return color + word(rng, SHAPE_WORDS[wanted.shape])


def article(phrase: str) -> str:
    """The phrase with `a` or `an` before it."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def phrase(wanted: Wanted, rng: np.random.Generator | None = None) -> str:
    """`a small red circle moving left slowly`."""
    size = "" if wanted.size is None else word(rng, SIZE_WORDS[wanted.size]) + " "
    parts = [article(size + noun(wanted, rng))]
    if wanted.motion is not None:
        parts.append(word(rng, MOTION_WORDS[wanted.motion]))
        if wanted.speed is not None:
            parts.append(word(rng, SPEED_WORDS[wanted.speed]))
    return " ".join(parts)


def listing(phrases: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def prompt(request: Request) -> str:
    """The canonical words: what the language model writes into an instruction."""
    text = listing([phrase(w) for w in request.things])
    if request.background is not None:
        text += f" on a {word(None, BACKGROUND_WORDS[request.background])} background"
    if request.relation is not None:
        a, b = request.things[:2]
        text += RELATIONS[request.relation][0].format(a=noun(a), b=noun(b))
    return text


def paraphrase(request: Request, rng: np.random.Generator, part: Part) -> str:
    """The same request as people might put it."""
    things = listing([phrase(w, rng) for w in request.things])
    if request.background is None:
        text = pick(rng, BARE, part).format(things=things)
    else:
        background = word(rng, BACKGROUND_WORDS[request.background])
        text = pick(rng, CAPTIONS, part).format(things=things, background=background)
    if request.relation is not None:
        a, b = request.things[:2]
        text += pick(rng, RELATIONS[request.relation], part).format(a=noun(a, rng), b=noun(b, rng))
    return text


def wanted(thing: Thing) -> Wanted:
    """All there is to say of an object."""
    return Wanted(
        thing.shape,
        thing.color,
        thing.size if thing.sized else None,
        thing.motion,
        thing.speed if thing.travels else None,
    )


def full_request(scene: Scene) -> Request:
    """All there is to say of a scene, events and order aside."""
    return Request(tuple(wanted(t) for t in scene.things), scene.background, relation_of(scene))


def relation_of(scene: Scene) -> Relation | None:
    """How the first two objects relate in a way that a request could ask for."""
    if len(scene.things) != 2:
        return None
    if scene.passes:
        return "passes"
    a, b = scene.things
    if left_of(a, b, scene.duration):
        return "left_of"
    return "above" if above(a, b, scene.duration) else None


def request_of(scene: Scene, rng: np.random.Generator) -> Request:
    """A truthful choice of what to say: colour, shape and motion mostly, the rest about half the time."""

    def said(share: float) -> bool:
        return bool(rng.random() < share)

    things = []
    for thing in scene.things:
        full = wanted(thing)
        motion = full.motion if said(0.92) else None
        things.append(
            Wanted(
                full.shape,
                # Two objects without colours could not be told apart in what is said of both.
                full.color if len(scene.things) > 1 or said(0.95) else None,
                full.size if said(0.5) else None,
                motion,
                full.speed if motion and said(0.3) else None,
            )
        )
    relation = relation_of(scene)
    if relation != "passes" and not said(0.5):
        relation = None
    if relation == "passes":  # the passer moves, or nothing passes
        things[1] = Wanted(**{**things[1].__dict__, "motion": scene.things[1].motion})
    return Request(tuple(things), scene.background if said(0.7) else None, relation)


def caption(scene: Scene, rng: np.random.Generator, part: Part = "training") -> str:
    """A whole caption of a video: everything that can be said, or a choice of it, and its event."""
    request = full_request(scene) if rng.random() < 0.5 else request_of(scene, rng)
    text = paraphrase(request, rng, part)
    event = scene.event
    return text if event is None else f"{text}; {event_phrase(event)}"


def event_phrase(thing: Thing) -> str:
    """What happens to an object: `the red circle vanishes`."""
    name = noun(wanted(thing))
    if thing.event == "recolors":
        return f"the {name} turns {thing.new_color}"
    return f"the {name} {thing.event}"


def place(x: float, y: float) -> str:
    """Where in the frame a point lies: `at the top left`."""
    column = "left" if x < -0.17 else "right" if x > 0.17 else ""
    row = "top" if y < -0.17 else "bottom" if y > 0.17 else ""
    if not row and not column:
        return "in the middle"
    return f"at the {row} {column}".replace("  ", " ").strip()


def frame_caption(scene: Scene, time: float, rng: np.random.Generator) -> str:
    """A caption of the one frame at `time`: what is there, how large, and where."""
    phrases = []
    for thing in scene.things:
        state = thing.at(np.array([time]), scene.duration)
        if not state.visible[0]:
            continue
        color = thing.new_color if state.recolored[0] and thing.new_color else thing.color
        now = Wanted(thing.shape, color, thing.size if thing.sized and rng.random() < 0.6 else None)
        where = f" {place(float(state.x[0]), float(state.y[0]))}" if rng.random() < 0.7 else ""
        phrases.append(phrase(now, rng) + where)
    rng.shuffle(phrases)
    background = word(rng, BACKGROUND_WORDS[scene.background])
    if not phrases:
        return f"an empty {background} background"
    things = listing(phrases)
    return pick(rng, CAPTIONS, "training").format(things=things, background=background)
