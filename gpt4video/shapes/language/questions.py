"""Questions about a scene, with answers that its pixels prove.

    sample_question(scene, rng, part)            one question of any kind
    questions(scene, rng, part)                  one of every kind that this scene has

Only what is true and can be seen is asked: sizes of things that keep their size, sides that hold all the
time, speeds of things that travel. Answers are short whole sentences, the same for the same facts.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpt4video.shapes.language import asking, yesno
from gpt4video.shapes.language.answers import (
    SIDE_WORDS,
    any_thing,
    choice,
    number_word,
    object_key,
    pair_of,
    sentence,
    side_of,
    there_are,
)
from gpt4video.shapes.language.describe import (
    COLOR_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    SPEED_WORDS,
    article,
    event_phrase,
    full_request,
    listing,
    noun,
    pick,
    place,
    wanted,
    word,
)
from gpt4video.shapes.language.judge import QA, Family, Key, judge_answer
from gpt4video.shapes.language.refer import VERBS, Named, at_side, canonical, description, doing, refer, third
from gpt4video.shapes.world import COLORS, MOTIONS, SHAPES, Part, Scene

__all__ = ["KINDS", "QA", "Key", "judge_answer", "questions", "sample_question"]

Rng = np.random.Generator
Ask = Callable[[Scene, Rng, Part], QA | None]


def _attribute(
    family: Family,
    templates: tuple[str, ...],
    scene: Scene,
    rng: Rng,
    part: Part,
    index: int,
    value: str,
    says: str,
    named: Named | None = None,
) -> QA | None:
    """A question about one object; `says` holds `{o}` where the answer names it."""
    alone = named is None and len(scene.things) == 1
    named = named or refer(scene, index, rng, avoid=family)
    if named is None:
        return None
    if alone and family in asking.TERSE and rng.random() < 0.15:
        templates = asking.TERSE[family]
    question = asking.put(rng, pick(rng, templates, part), o=named.asked)
    allowed = tuple(c for c in COLORS if family == "color" and c in question)
    return QA(family, question, sentence(says.format(o=named.said)), Key(family, (value,), allowed))


def color(
    scene: Scene, rng: Rng, part: Part, index: int | None = None, named: Named | None = None
) -> QA | None:
    index = any_thing(scene, rng) if index is None else index
    thing = scene.things[index]
    if thing.event == "recolors":
        return None
    says = f"{{o}} is {thing.color}"
    return _attribute("color", asking.COLOR, scene, rng, part, index, thing.color, says, named)


def shape(
    scene: Scene, rng: Rng, part: Part, index: int | None = None, named: Named | None = None
) -> QA | None:
    alone = len(scene.things) == 1
    if alone and named is None and rng.random() < 0.4:
        thing = scene.things[0]
        question = asking.put(rng, pick(rng, asking.SHAPE_ALONE, part))
        return QA("shape", question, f"It is a {thing.shape}.", Key("shape", (thing.shape,)))
    index = any_thing(scene, rng) if index is None else index
    value = scene.things[index].shape
    return _attribute("shape", asking.SHAPE, scene, rng, part, index, value, f"{{o}} is a {value}", named)


def motion(
    scene: Scene, rng: Rng, part: Part, index: int | None = None, named: Named | None = None
) -> QA | None:
    index = any_thing(scene, rng) if index is None else index
    value = scene.things[index].motion
    says = f"{{o}} is {doing(value)}"
    return _attribute("motion", asking.MOTION, scene, rng, part, index, value, says, named)


def which_color(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Which shape is red?"""
    thing = scene.things[any_thing(scene, rng)]
    if thing.event == "recolors":
        return None
    question = asking.put(rng, pick(rng, asking.WHICH_COLOR, part), p=word(rng, COLOR_WORDS[thing.color]))
    answer = (
        f"The {thing.color} object is a {thing.shape}."
        if len(scene.things) > 1
        else f"It is a {thing.shape}."
    )
    return QA("shape", question, answer, Key("shape", (thing.shape,)))


def color_and_shape(scene: Scene, rng: Rng, part: Part) -> QA | None:
    index = any_thing(scene, rng)
    thing = scene.things[index]
    named = refer(scene, index, rng, avoid="shape")
    if thing.event == "recolors" or named is None or thing.color in named.said:
        return None
    question = asking.put(rng, pick(rng, asking.COLOR_AND_SHAPE, part), o=named.asked)
    name = noun(wanted(thing))
    return QA("shape", question, sentence(f"{named.said} is {article(name)}"), Key("objects", (name,)))


def either(family: Family) -> Ask:
    """Is it red or blue?"""

    def ask(scene: Scene, rng: Rng, part: Part) -> QA | None:
        index = any_thing(scene, rng)
        thing = scene.things[index]
        if (thing.event == "recolors" and family == "color") or (family == "size" and not thing.sized):
            return None
        value: str = {"color": thing.color, "shape": thing.shape, "motion": thing.motion, "size": thing.size}[
            family
        ]
        rival = choice(rng, [v for v in VALUES[family] if v != value])
        said: list[str] = []
        for v in (value, rival):
            if family == "shape":
                said.append(article(word(rng, SHAPE_WORDS[v])))
            elif family == "motion":
                said.append(doing(v, rng))
            else:
                said.append(word(rng, COLOR_WORDS[v] if family == "color" else SIZE_WORDS[v]))
        if rng.random() < 0.5:
            said.reverse()
        truth = article(value) if family == "shape" else doing(value) if family == "motion" else value
        named = refer(scene, index, rng, avoid=family)
        if named is None:
            return None
        question = asking.put(rng, pick(rng, asking.EITHER, part), o=named.asked, x=said[0], y=said[1])
        return QA(family, question, sentence(f"{named.said} is {truth}"), Key(family, (value,)))

    return ask


VALUES: dict[str, tuple[str, ...]] = {
    "color": tuple(COLORS),
    "shape": SHAPES,
    "motion": MOTIONS,
    "size": tuple(SIZE_WORDS),
}


def which_motion(scene: Scene, rng: Rng, part: Part) -> QA | None:
    thing = scene.things[any_thing(scene, rng)]
    if sum(t.motion == thing.motion for t in scene.things) > 1:
        return None
    does = third(word(rng, VERBS[thing.motion]))
    question = asking.put(
        rng, pick(rng, asking.WHICH_MOTION, part), does=does, doing=doing(thing.motion, rng)
    )
    answer = sentence(f"the {noun(wanted(thing))} is {doing(thing.motion)}")
    return QA("motion", question, answer, object_key(scene, thing))


def size(
    scene: Scene, rng: Rng, part: Part, index: int | None = None, named: Named | None = None
) -> QA | None:
    index = any_thing(scene, rng) if index is None else index
    thing = scene.things[index]
    if not thing.sized:
        return None
    says = f"{{o}} is {thing.size}"
    return _attribute("size", asking.SIZE, scene, rng, part, index, thing.size, says, named)


def which_size(scene: Scene, rng: Rng, part: Part) -> QA | None:
    if len(scene.things) != 2 or not all(t.sized for t in scene.things):
        return None
    thing, other = (scene.things[i] for i in rng.permutation(2))
    if thing.size == other.size:
        return None
    words = {"small": ["smaller", "small"], "large": ["larger", "bigger", "large", "big"]}[thing.size]
    question = asking.put(rng, pick(rng, asking.WHICH_SIZE, part), p=choice(rng, words))
    answer = sentence(f"the {noun(wanted(thing))} is {thing.size}{'r' if thing.size[-1] == 'e' else 'er'}")
    return QA("size", question, answer, object_key(scene, thing))


def background(scene: Scene, rng: Rng, part: Part) -> QA | None:
    question = asking.put(rng, pick(rng, asking.BACKGROUND, part))
    return QA(
        "background",
        question,
        f"The background is {scene.background}.",
        Key("background", (scene.background,)),
    )


def count(scene: Scene, rng: Rng, part: Part) -> QA | None:
    number = len(scene.things)
    question = asking.put(rng, pick(rng, asking.COUNT, part))
    return QA("count", question, there_are(number, "object"), Key("count", (number_word(number),)))


def count_of(scene: Scene, rng: Rng, part: Part) -> QA | None:
    here = [t.shape for t in scene.things]
    name = choice(rng, here if rng.random() < 0.6 else list(SHAPES))
    asked = word(rng, SHAPE_WORDS[name])
    plural = asked + ("es" if asked.endswith(("s", "x")) else "s")
    question = asking.put(rng, pick(rng, asking.COUNT_OF, part), p=plural)
    number = here.count(name)
    return QA("count", question, there_are(number, name), Key("count", (number_word(number),)))


def count_when(scene: Scene, rng: Rng, part: Part) -> QA | None:
    thing = scene.event
    if thing is None or thing.event == "recolors":
        return None
    when = "start" if rng.random() < 0.5 else "end"
    number = len(scene.things) - ((when == "start") == (thing.event == "appears"))
    question = asking.put(rng, pick(rng, asking.COUNT_WHEN, part), p=when)
    answer = there_are(number, "object").replace(".", f" at the {when}.")
    return QA("count", question, answer, Key("count", (number_word(number),)))


def count_colors(scene: Scene, rng: Rng, part: Part) -> QA | None:
    if any(t.event == "recolors" for t in scene.things):
        return None
    number = len(scene.things)
    question = asking.put(rng, pick(rng, asking.COUNT_COLORS, part))
    return QA("count", question, there_are(number, "color"), Key("count", (number_word(number),)))


def relation(scene: Scene, rng: Rng, part: Part) -> QA | None:
    pair = pair_of(scene, rng)
    if pair is None:
        return None
    a, b = (scene.things[k] for k in pair)
    axes = {axis: side_of(a, b, scene.duration, axis) for axis in ("x", "y")}
    definite = [axis for axis, side in axes.items() if side]
    asked_a, asked_b = refer(scene, pair[0], rng, "side"), refer(scene, pair[1], rng, "side")
    if not definite or asked_a is None or asked_b is None:
        return None
    axis = definite[int(rng.integers(len(definite)))]
    if len(definite) == 1 and rng.random() < 0.4:
        templates: tuple[str, ...] = asking.WHERE
    else:
        templates = asking.SIDE if axis == "x" else asking.HEIGHT
    s, t = ("left", "right") if rng.random() < 0.5 else ("right", "left")
    question = asking.put(rng, pick(rng, templates, part), o=asked_a.asked, p=asked_b.asked, s=s, t=t)
    side = axes[axis]
    assert side is not None, "the axis was chosen among those that hold"
    answer = sentence(f"{asked_a.said} is {SIDE_WORDS[side]} {asked_b.said}")
    return QA("relation", question, answer, Key("side", (a.color, a.shape, side, b.color, b.shape)))


def which_side(scene: Scene, rng: Rng, part: Part) -> QA | None:
    pair = pair_of(scene, rng)
    if pair is None or len(scene.things) != 2:
        return None
    sides = [s for s in ("left", "right", "above", "below") if at_side(scene, pair[0], s)]
    if not sides:
        return None
    side, thing = choice(rng, sides), scene.things[pair[0]]
    question = asking.put(rng, pick(rng, asking.WHICH_SIDE[side], part))
    where = {"left": "on the left", "right": "on the right", "above": "at the top", "below": "at the bottom"}
    answer = sentence(f"the {noun(wanted(thing))} is {where[side]}")
    return QA("relation", question, answer, object_key(scene, thing))


def which_beside(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """What is left of the star?"""
    pair = pair_of(scene, rng)
    if pair is None:
        return None
    thing, other = (scene.things[k] for k in pair)
    named = refer(scene, pair[1], rng, "side")
    axis = choice(rng, ["x", "y"])
    side = side_of(thing, other, scene.duration, axis)
    rest = [side_of(t, other, scene.duration, axis) for t in scene.things if t not in (thing, other)]
    if named is None or side is None or None in rest or side in rest:
        return None
    question = asking.put(rng, pick(rng, asking.BESIDE_WHAT[side], part), p=named.asked)
    answer = sentence(f"the {noun(wanted(thing))} is {SIDE_WORDS[side]} {named.said}")
    return QA(
        "relation", question, answer, Key("side", (thing.color, thing.shape, side, other.color, other.shape))
    )


def passes(scene: Scene, rng: Rng, part: Part) -> QA | None:
    if not scene.passes:
        return None
    back, front = scene.things
    if rng.random() < 0.3:
        named = refer(scene, 1, rng, "side")
        question = asking.put(rng, pick(rng, asking.BEHIND, part), p=named.asked if named else "the other")
        return QA(
            "relation", question, sentence(f"the {noun(wanted(back))} is behind"), object_key(scene, back)
        )
    named = refer(scene, 0, rng, "side")
    question = asking.put(rng, pick(rng, asking.PASSES, part), p=named.asked if named else "the other")
    answer = sentence(f"the {noun(wanted(front))} passes in front")
    return QA("relation", question, answer, object_key(scene, front))


def place_of(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Where in the frame is something that stays where it is?"""
    index = any_thing(scene, rng)
    thing = scene.things[index]
    if thing.motion not in ("still", "spinning") or thing.event:
        return None
    if any(0.11 < abs(v) < 0.23 for v in (thing.x, thing.y)):
        return None  # neither clearly in the middle nor clearly at a side
    named = refer(scene, index, rng, avoid="side")
    if named is None:
        return None
    where = place(thing.x, thing.y)
    question = asking.put(rng, pick(rng, asking.PLACE, part), o=named.asked)
    return QA(
        "relation", question, sentence(f"{named.said} is {where}"), Key("place", tuple(where.split()[2:]))
    )


def order(scene: Scene, rng: Rng, part: Part) -> QA | None:
    if scene.first is None:
        return None
    is_first = rng.random() < 0.7
    thing = scene.things[scene.first if is_first else 1 - scene.first]
    named = [refer(scene, int(i), rng, avoid="order") for i in rng.permutation(2)]
    a, b = (n.asked if n else "this" for n in named)
    question = asking.put(rng, pick(rng, asking.FIRST if is_first else asking.SECOND, part), o=a, p=b)
    answer = sentence(f"the {noun(wanted(thing))} moves {'first' if is_first else 'second'}")
    return QA("order", question, answer, object_key(scene, thing))


def event(scene: Scene, rng: Rng, part: Part) -> QA | None:
    thing = scene.event
    if thing is None or thing.event is None:
        return None
    index = scene.things.index(thing)
    way = int(
        rng.choice(5, p=(0.15, 0.15, 0.1, 0.45, 0.15) if thing.event == "recolors" else (0.3, 0.3, 0.4, 0, 0))
    )
    named = refer(scene, index, rng, avoid="color" if thing.event == "recolors" else "event")
    if way == 0 or named is None:
        question = asking.put(rng, pick(rng, asking.HAPPENS, part))
    elif way == 1:
        question = asking.put(rng, pick(rng, asking.HAPPENS_TO, part), o=named.asked)
    elif way == 2 or thing.event != "recolors":
        question = asking.put(rng, pick(rng, asking.WHICH_EVENT[thing.event], part))
    else:
        was = way == 4
        question = asking.put(rng, pick(rng, asking.WAS if was else asking.BECOMES, part), o=named.asked)
        assert thing.new_color is not None, "what changes its colour has a new one"
        if was:
            return QA(
                "event",
                question,
                sentence(f"{named.said} is {thing.color} at first"),
                Key("color", (thing.color,)),
            )
        answer = sentence(f"{named.said} turns {thing.new_color}")
        return QA("event", question, answer, Key("becomes", (thing.new_color,), (thing.color,)))
    key = Key("event", (thing.event, thing.color, thing.shape, thing.new_color or thing.color))
    return QA("event", question, sentence(event_phrase(thing)), key)


def speed(
    scene: Scene, rng: Rng, part: Part, index: int | None = None, named: Named | None = None
) -> QA | None:
    index = any_thing(scene, rng) if index is None else index
    thing = scene.things[index]
    if not thing.travels:
        return None
    says = f"{{o}} is moving {SPEED_WORDS[thing.speed][0]}"
    return _attribute("speed", asking.SPEED, scene, rng, part, index, thing.speed, says, named)


def which_speed(scene: Scene, rng: Rng, part: Part) -> QA | None:
    if len(scene.things) != 2 or not all(t.travels for t in scene.things):
        return None
    thing, other = (scene.things[i] for i in rng.permutation(2))
    if thing.speed == other.speed:
        return None
    words = {"slow": "slower", "fast": "faster"}[thing.speed]
    question = asking.put(rng, pick(rng, asking.WHICH_SPEED, part), p=words)
    return QA("speed", question, sentence(f"the {noun(wanted(thing))} is {words}"), object_key(scene, thing))


GOES_ON = 0.3
"""How often a description is asked for by asking what happens, where nothing changes."""


def describe(scene: Scene, rng: Rng, part: Part) -> QA | None:
    thing = scene.event
    # A video in which nothing changes is asked what happens, too: or the question alone would say that
    # something does.
    goes_on = thing is None and rng.random() < GOES_ON
    question = asking.put(rng, pick(rng, asking.GOES_ON if goes_on else asking.DESCRIBE, part))
    answer = description(scene) + (f"; {event_phrase(thing)}" if thing else "")
    happens: tuple[str, ...] = ()
    if thing and thing.event:
        happens = (thing.event, thing.color, thing.shape, thing.new_color or thing.color)
    return QA(
        "describe",
        question,
        sentence(answer),
        Key("describe", happens, request=full_request(canonical(scene))),
    )


def objects(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Which objects, which shapes, which colours are there?"""
    things = canonical(scene).things
    names = [noun(wanted(t)) for t in things]
    shapes = [t.shape for t in things]
    if any(t.event == "recolors" for t in things):
        return None
    way = int(rng.integers(4))
    if way == 2 and len(things) > 1:
        question = asking.put(rng, pick(rng, asking.COLORS_SEEN, part))
        colors = [t.color for t in things]
        return QA("describe", question, f"The colors are {listing(colors)}.", Key("colors", tuple(colors)))
    if way == 3 and len(set(shapes)) == len(shapes):
        question = asking.put(rng, pick(rng, asking.SHAPES_SEEN, part))
        answer = f"There is {listing([article(s) for s in shapes])}."
        return QA("describe", question, answer, Key("shapes", tuple(shapes)))
    question = asking.put(rng, pick(rng, asking.OBJECTS, part))
    answer = f"There is {listing([article(n) for n in names])}."
    return QA("describe", question, answer, Key("objects", tuple(names)))


OF_ONE: dict[str, Callable[[Scene, Rng, Part, int, Named | None], QA | None]] = {
    "color": color,
    "shape": shape,
    "motion": motion,
    "size": size,
    "speed": speed,
}
"""Questions about one trait of one object."""
IT = Named("it", "it")
"""An object that was just named."""


THREE = 0.2
"""How often three things are asked at once instead of two."""


def double(scene: Scene, rng: Rng, part: Part) -> QA | None:
    """Two or three questions in one: `What color is the star and how does it move?`, `Its color and motion?`

    Mostly about one object, which the later ones call "it"; else one of two is about the whole video.
    """
    number = 3 if rng.random() < THREE else 2
    index = any_thing(scene, rng)
    kinds = [list(OF_ONE)[int(k)] for k in rng.permutation(len(OF_ONE))[:number]]
    named = refer(scene, index, rng, avoid=tuple(kinds))
    whole, listed = number == 2 and rng.random() < 0.2, rng.random() < 0.3
    asked = [OF_ONE[kinds[0]](scene, rng, part, index, named)]
    for kind in kinds[1:]:
        again = IT if listed or rng.random() < 0.8 else named
        asked.append(OF_ONE[kind](scene, rng, part, index, again))
    if whole:
        asked[1] = (background, count)[int(rng.integers(2))](scene, rng, part)
    all_asked = [qa for qa in asked if qa is not None]
    if named is None or len(all_asked) < number:
        return None
    if listed and not whole:
        traits = listing([word(rng, asking.TRAITS[kind]) for kind in kinds])
        traits = f"its {traits}" if named.asked == "it" else f"the {traits} of {named.asked}"
        question = asking.put(rng, pick(rng, asking.LISTED, part), w=traits)
    else:
        if whole and rng.random() < 0.3:
            all_asked.reverse()
        said = [all_asked[0].question.rstrip("?.")]
        for qa in all_asked[1:]:
            said.append(asking.unled(qa.question).rstrip("?.").removeprefix("and ").removeprefix("so "))
        words = dict(zip("abc", said, strict=False))
        words |= {name.upper(): text[:1].upper() + text[1:] for name, text in words.items()}
        template = pick(rng, asking.DOUBLE if number == 2 else asking.TRIPLE, part)
        question = asking.casual(rng, template.format(**words))
    key = Key("double", (), parts=tuple(qa.key for qa in all_asked))
    return QA("double", question, " ".join(qa.answer for qa in all_asked), key)


KINDS: dict[str, tuple[Ask, ...]] = {
    "color": (color, color, color, color, either("color")),
    "shape": (shape, shape, shape, shape, which_color, color_and_shape, either("shape")),
    "motion": (motion, motion, motion, motion, which_motion, which_motion, either("motion")),
    "count": (count, count, count, count_of, count_when, count_colors),
    "size": (size, size, size, which_size, either("size")),
    "background": (background,),
    "relation": (relation, relation, which_side, which_beside, passes, place_of),
    "order": (order,),
    "event": (event,),
    "speed": (speed, speed, which_speed),
    "yesno": (
        yesno.is_color,
        yesno.is_shape,
        yesno.is_motion,
        yesno.is_size,
        yesno.is_background,
        yesno.exists,
        yesno.exists,
        yesno.anything,
        yesno.is_side,
        yesno.is_side,
        yesno.is_count,
        yesno.is_event,
        yesno.is_more,
        yesno.is_moving,
        yesno.any_moves,
        yesno.is_more_of,
        yesno.any_color,
        yesno.is_first,
        yesno.is_first,
        yesno.is_event_of,
        yesno.alike,
    ),
    "describe": (describe, describe, objects),
    "double": (double, double, double),  # tried again where the object lacks a trait
}
"""The ways to ask each kind of question."""
WEIGHTS = {"yesno": 2.5, "order": 4.0, "event": 2.0, "relation": 1.5, "motion": 1.5}
_P = np.array([WEIGHTS.get(k, 1.0) for k in KINDS])
_CUT = np.cumsum(_P / _P.sum())


def sample_question(scene: Scene, rng: Rng, part: Part, kind: str | None = None) -> QA | None:
    """A question of `kind`, or of any; None where this scene has none of that kind."""
    while kind is None:
        chosen = list(KINDS)[int(np.searchsorted(_CUT, rng.random()))]
        found = sample_question(scene, rng, part, chosen)
        if found is not None:
            return found
    ways = KINDS[kind]
    if kind == "relation" and scene.passes and rng.random() < 0.7:
        ways = (passes,)
    for index in rng.permutation(len(ways)):
        found = ways[index](scene, rng, part)
        if found is not None:
            return found
    return None


def questions(scene: Scene, rng: Rng, part: Part) -> list[QA]:
    """One question of every kind that this scene has."""
    asked = (sample_question(scene, rng, part, kind) for kind in KINDS)
    return [qa for qa in asked if qa is not None]
