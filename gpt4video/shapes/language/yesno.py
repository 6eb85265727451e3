"""Questions that are answered yes or no, about every kind of fact.

Each tosses first what the answer shall be, so that neither can be guessed; where the answer is no, the truth
follows, and what is asked for is near to it.
"""

from __future__ import annotations

import numpy as np

from gpt4video.shapes.language import asking
from gpt4video.shapes.language.answers import SIDE_WORDS, any_thing, choice, pair_of, side_of, there_are
from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    COUNT_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    article,
    event_phrase,
    noun,
    pick,
    wanted,
    word,
)
from gpt4video.shapes.language.judge import QA, Key
from gpt4video.shapes.language.refer import VERBS, canonical, doing, refer, third
from gpt4video.shapes.world import BACKGROUNDS, COLORS, MOTIONS, SHAPES, Part, Scene

Rng = np.random.Generator


def _yes_no(question: str, right: bool, answer: str) -> QA:
    yes = "Yes" if right else "No"
    return QA("yesno", question, f"{yes}, {answer}.", Key("yesno", (yes.lower(),)))


def _is(
    scene: Scene, rng: Rng, part: Part, index: int, family: str, yes: bool, asked: str, truth: str
) -> QA | None:
    named = refer(scene, index, rng, avoid=family)
    if named is None:
        return None
    question = asking.put(rng, pick(rng, asking.IS, part), o=named.asked, x=asked)
    return _yes_no(question, yes, f"{named.said} is {truth}")


def _other(rng: Rng, words: tuple[str, ...] | list[str], value: str) -> str:
    return choice(rng, [w for w in words if w != value])


def is_color(scene: Scene, rng: Rng, part: Part) -> QA | None:
    index, yes = any_thing(scene, rng), bool(rng.random() < 0.5)
    thing = scene.things[index]
    if thing.event == "recolors":
        return None
    elsewhere = [t.color for t in scene.things if t is not thing]
    rival = (
        choice(rng, elsewhere) if elsewhere and rng.random() < 0.5 else _other(rng, list(COLORS), thing.color)
    )
    asked = word(rng, COLOR_WORDS[thing.color if yes else rival])
    return _is(scene, rng, part, index, "color", yes, asked, thing.color)


def is_shape(scene: Scene, rng: Rng, part: Part) -> QA | None:
    index, yes = any_thing(scene, rng), bool(rng.random() < 0.5)
    value = scene.things[index].shape
    asked = word(rng, SHAPE_WORDS[value if yes else _other(rng, SHAPES, value)])
    return _is(scene, rng, part, index, "shape", yes, article(asked), article(value))


def is_motion(scene: Scene, rng: Rng, part: Part) -> QA | None:
    index, yes = any_thing(scene, rng), bool(rng.random() < 0.5)
    value = scene.things[index].motion
    asked = value if yes else _other(rng, MOTIONS, value)
    if rng.random() < 0.6:
        return _is(scene, rng, part, index, "motion", yes, doing(asked, rng), doing(value))
    named = refer(scene, index, rng, avoid="motion")
    if named is None:
        return None
    verb = word(rng, VERBS[asked])
    question = asking.put(rng, pick(rng, asking.DOES, part), o=named.asked, x=verb, xs=third(verb))
    return _yes_no(question, yes, f"{named.said} is {doing(value)}")


def is_size(scene: Scene, rng: Rng, part: Part) -> QA | None:
    index, yes = any_thing(scene, rng), bool(rng.random() < 0.5)
    thing = scene.things[index]
    if not thing.sized:
        return None
    asked = thing.size if yes else _other(rng, list(SIZE_WORDS), thing.size)
    return _is(scene, rng, part, index, "size", yes, word(rng, SIZE_WORDS[asked]), thing.size)


def is_background(scene: Scene, rng: Rng, part: Part) -> QA | None:
    yes = bool(rng.random() < 0.5)
    asked = scene.background if yes else _other(rng, list(BACKGROUNDS), scene.background)
    words = word(rng, BACKGROUND_WORDS[asked])
    question = asking.put(rng, pick(rng, asking.IS, part), o="the background", x=words)
    return _yes_no(question, yes, f"the background is {scene.background}")


def exists(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Is there a red circle? What is not there has the colour or the shape of something that is."""
    yes = bool(rng.random() < 0.5)
    thing = scene.things[any_thing(scene, rng)]
    if thing.event == "recolors":
        return None
    color, shape = thing.color, thing.shape
    by_shape = rng.random() < 0.35
    if not yes:
        taken = {t.new_color for t in scene.things} | {t.color for t in scene.things}
        if by_shape:
            rivals = [s for s in SHAPES if all(t.shape != s for t in scene.things)]
            shape = choice(rng, rivals)
        elif rng.random() < 0.5:
            color = choice(rng, [c for c in COLORS if c not in taken])
        else:
            shape = choice(rng, [s for s in SHAPES if s != shape])
    asked = word(rng, SHAPE_WORDS[shape])
    canon = shape
    if not by_shape:
        asked, canon = f"{word(rng, COLOR_WORDS[color])} {asked}", f"{color} {shape}"
    question = asking.put(rng, pick(rng, asking.EXISTS, part), x=article(asked))
    return _yes_no(question, yes, f"there is {article(canon) if yes else f'no {canon}'}")


def anything(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Is anything spinning?"""
    yes = bool(rng.random() < 0.5)
    here = [t.motion for t in scene.things]
    once = [m for m in here if here.count(m) == 1]
    options = once if yes else [m for m in MOTIONS if m not in here]
    if not options:
        return None
    value = choice(rng, options)
    verb = word(rng, VERBS[value])
    words = {"do": verb, "does": third(verb), "doing": doing(value, rng)}
    question = asking.put(rng, pick(rng, asking.ANYTHING, part), **words)
    if not yes:
        return _yes_no(question, False, f"nothing is {doing(value)}")
    thing = scene.things[here.index(value)]
    return _yes_no(question, True, f"the {noun(wanted(thing))} is {doing(value)}")


def is_side(scene: Scene, rng: Rng, part: Part) -> QA | None:
    pair = pair_of(scene, rng)
    if pair is None:
        return None
    a, b = (scene.things[k] for k in pair)
    sides = [s for axis in ("x", "y") if (s := side_of(a, b, scene.duration, axis))]
    named, other = refer(scene, pair[0], rng, "side"), refer(scene, pair[1], rng, "side")
    if not sides or named is None or other is None:
        return None
    yes, side = bool(rng.random() < 0.5), choice(rng, sides)
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}[side]
    asked = side if yes else opposite
    words = {
        "left": ("left of", "to the left of", "on the left of"),
        "right": ("right of", "to the right of", "on the right of"),
        "above": ("above", "over", "higher than"),
        "below": ("below", "under", "lower than"),
    }[asked]
    text = asking.put(rng, pick(rng, asking.IS, part), o=named.asked, x=f"{word(rng, words)} {other.asked}")
    return _yes_no(text, yes, f"{named.said} is {SIDE_WORDS[side]} {other.said}")


def is_count(scene: Scene, rng: Rng, part: Part) -> QA | None:
    number, yes = len(scene.things), bool(rng.random() < 0.5)
    asked = number if yes else int(rng.choice([n for n in (1, 2, 3) if n != number]))
    if asked == 1:
        text = choice(
            rng, ["Is there only one object?", "Is there just one shape?", "Do you see only one object?"]
        )
        question = asking.put(rng, text)
    else:
        question = asking.put(rng, pick(rng, asking.COUNTED, part), n=COUNT_WORDS[asked])
    truth = there_are(number, "object")
    return _yes_no(question, yes, truth[:1].lower() + truth[1:-1])


def is_more(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Are there more than two?"""
    number = len(scene.things)
    limits = range(1, number) if rng.random() < 0.5 else range(number, 3)
    if not limits:
        return None
    limit = int(rng.choice(limits))
    what = choice(rng, ["object", "shape"]) + ("s" if limit > 1 else "")
    template = pick(rng, asking.MORE_THAN, part).replace("{n} objects", "{n}")
    question = asking.put(rng, template, n=f"{COUNT_WORDS[limit]} {what}")
    truth = there_are(number, "object")
    return _yes_no(question, number > limit, truth[:1].lower() + truth[1:-1])


def is_moving(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Does it move? Asked of things that clearly do, or do not."""
    index = any_thing(scene, rng)
    thing = scene.things[index]
    if thing.motion in ("growing", "shrinking", "spinning") or (
        thing.motion != "still" and rng.random() < 0.7
    ):
        return None
    named = refer(scene, index, rng, avoid="motion")
    if named is None:
        return None
    question = asking.put(rng, pick(rng, asking.MOVES, part), o=named.asked)
    return _yes_no(question, thing.motion != "still", f"{named.said} is {doing(thing.motion)}")


RESTS = ("growing", "shrinking", "spinning", "still")
"""Motions of what stays where it is."""


def any_moves(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Does anything move? Asked where all rest or something clearly moves."""
    moving = [t for t in canonical(scene).things if t.motion not in RESTS]
    if any(t.motion != "still" for t in scene.things if t not in moving) or (moving and rng.random() < 0.85):
        return None  # most scenes move
    question = asking.put(rng, pick(rng, asking.ANY_MOVES, part))
    if not moving:
        return _yes_no(question, False, "nothing is moving")
    return _yes_no(question, True, f"the {noun(wanted(moving[0]))} is {doing(moving[0].motion)}")


MORE = {
    "small": ("smaller",),
    "large": ("larger", "bigger", "bigger"),
    "slow": ("slower",),
    "fast": ("faster", "faster", "quicker"),
}
"""Comparatives of sizes and speeds, the canonical one first."""


def is_more_of(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Is the circle bigger than the square? Is it faster? Of speeds only those that clearly differ."""
    pair = pair_of(scene, rng)
    if pair is None:
        return None
    trait = choice(rng, ["size", "size", "speed"])
    a, b = (scene.things[k] for k in pair)
    here, there = getattr(a, trait), getattr(b, trait)
    if not all(t.sized if trait == "size" else t.travels for t in (a, b)):
        return None
    if here == there and (trait == "speed" or rng.random() < 0.75):
        return None
    named, other = refer(scene, pair[0], rng, avoid=trait), refer(scene, pair[1], rng, avoid=trait)
    if named is None or other is None:
        return None
    yes = here != there and bool(rng.random() < 0.6)
    rival = choice(rng, list(SIZE_WORDS)) if here == there else there
    asked = word(rng, MORE[here if yes else rival])
    question = asking.put(rng, pick(rng, asking.MORE_OF, part), o=named.asked, p=other.asked, x=asked)
    if here == there:
        return _yes_no(question, False, f"both are {here}")
    return _yes_no(question, yes, f"{named.said} is {MORE[here][0]}")


def is_event(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Does anything vanish?"""
    thing = scene.event
    yes = thing is not None and bool(rng.random() < 0.65)
    if thing is None and rng.random() < 0.9:
        return None  # scenes without events are many
    wrong = [e for e in asking.ANY_EVENT if thing is None or e != thing.event]
    asked = str(thing.event) if thing is not None and yes else choice(rng, wrong)
    question = asking.put(rng, pick(rng, asking.ANY_EVENT[asked], part))
    if thing is not None and yes:
        return _yes_no(question, True, event_phrase(thing))
    said = {"appears": "appears", "vanishes": "vanishes", "recolors": "changes color"}[asked]
    return _yes_no(question, False, f"nothing {said}")


def is_event_of(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Does the star vanish?"""
    thing, index = scene.event, any_thing(scene, rng)
    if thing is None:
        return None
    yes = bool(rng.random() < 0.5)
    wrong = [e for e in asking.EVENT_OF if e != thing.event]
    asked = str(thing.event)
    if yes:
        index = scene.things.index(thing)
    elif scene.things[index] is thing or rng.random() < 0.5:
        asked = choice(rng, wrong)
    named = refer(scene, index, rng, avoid="color" if thing.event == "recolors" else "event")
    if named is None:
        return None
    verb = word(rng, asking.EVENT_OF[asked])
    question = asking.put(rng, pick(rng, asking.DOES, part), o=named.asked, x=verb, xs=third(verb))
    if asked == thing.event:
        return _yes_no(question, yes, event_phrase(thing))
    said = {"appears": "appears", "vanishes": "vanishes", "recolors": "changes color"}[asked]
    return _yes_no(question, False, f"nothing {said}")


def any_color(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Is anything red?"""
    if any(t.event == "recolors" for t in scene.things):
        return None
    yes, thing = bool(rng.random() < 0.5), scene.things[any_thing(scene, rng)]
    color = (
        thing.color if yes else choice(rng, [c for c in COLORS if c not in {t.color for t in scene.things}])
    )
    question = asking.put(rng, pick(rng, asking.ANY_COLOR, part), x=word(rng, COLOR_WORDS[color]))
    return _yes_no(
        question, yes, f"there is {article(noun(wanted(thing)))}" if yes else f"nothing is {color}"
    )


def is_first(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Does the star move before the circle?"""
    if scene.first is None:
        return None
    index = any_thing(scene, rng)
    named, other = (refer(scene, k, rng, avoid="order") for k in (index, 1 - index))
    if named is None or other is None:
        return None
    question = asking.put(rng, pick(rng, asking.IS_FIRST, part), o=named.asked, p=other.asked)
    first = scene.things[scene.first]
    return _yes_no(question, index == scene.first, f"the {noun(wanted(first))} moves first")


def alike(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Are both the same size?"""
    if len(scene.things) != 2 or scene.event:
        return None
    a, b = canonical(scene).things
    yes = bool(rng.random() < 0.5)
    traits = [t for t in asking.ALIKE if (getattr(a, t) == getattr(b, t)) == yes]
    if not (a.sized and b.sized) and "size" in traits:
        traits.remove("size")
    if not traits:
        return None
    trait = choice(rng, traits)
    question = asking.put(rng, pick(rng, asking.ALIKE[trait], part))
    if trait == "shape":
        said = [article(a.shape), article(b.shape)]
        both = a.shape + ("es" if a.shape.endswith("s") else "s")
    elif trait == "motion":
        said, both = [doing(a.motion), doing(b.motion)], doing(a.motion)
    else:
        said, both = [a.size, b.size], a.size
    differ = f"the {a.color} {a.shape} is {said[0]} and the {b.color} {b.shape} is {said[1]}"
    if trait == "shape":
        differ = f"the {a.color} object is {said[0]} and the {b.color} object is {said[1]}"
    return _yes_no(question, yes, f"both are {both}" if yes else differ)
