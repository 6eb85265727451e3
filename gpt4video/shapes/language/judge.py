"""Whether a reply answers a question: words are read as facts; no rival may stand beside the right one.

    facts("The violet disc is moving to the left.")  -> color purple, shape circle, way left

The judge knows synonyms that the answers never use, because other models use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    MOTION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    Request,
)

Family = Literal[
    "color",
    "becomes",
    "shape",
    "motion",
    "count",
    "size",
    "background",
    "speed",
    "side",
    "object",
    "object_by_color",
    "event",
    "yesno",
    "video",
    "difference",
    "describe",
    "colors",
    "shapes",
    "objects",
    "place",
    "nothing",
    "double",
]


@dataclass(frozen=True)
class Key:
    """What makes a reply right.

    `right` holds the word of the family; for `object` its colour and shape (`object_by_color`: the shape
    alone does not tell it from the others), for `side` the subject's colour and shape, the side, and the
    other's colour and shape, for `event` the event, colour, shape and new colour, for `difference` the
    value in the first and in the second video. `allowed` holds rivals that the question itself names.
    """

    family: Family
    right: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    request: Request | None = None
    """For `describe`: what the video shows."""
    parts: tuple[Key, ...] = ()
    """For `double`: what each of its questions wants."""


@dataclass(frozen=True)
class QA:
    """A question about a video, its answer, and what a judge needs."""

    kind: str
    question: str
    answer: str
    key: Key


class Fact(NamedTuple):
    """A word that says something: which family, which value, where in the text."""

    family: str
    value: str
    at: int


def _vocabulary() -> dict[str, tuple[str, str]]:
    words: dict[str, tuple[str, str]] = {}

    def add(family: str, value: str, *forms: str) -> None:
        for form in forms:
            words[form] = (family, value)

    for value, forms in COLOR_WORDS.items():
        add("color", value, *forms)
    add("color", "purple", "lilac", "magenta")
    add("color", "cyan", "aqua", "teal", "light blue")
    add("color", "brown", "brown")
    for value, forms in BACKGROUND_WORDS.items():
        add("background", value, *forms)
    add("background", "navy", "navy blue")
    for value, forms in SHAPE_WORDS.items():
        for form in forms:
            add("shape", value, form, form + ("es" if form.endswith(("s", "x")) else "s"))
    add("shape", "hexagon", "hexagon", "pentagon", "diamond", "heart", "rectangle")
    for value, forms in SIZE_WORDS.items():
        add("size", value, *forms)
    add("size", "small", "smaller", "smallest")
    add("size", "large", "larger", "largest", "bigger", "biggest")
    for value, forms in MOTION_WORDS.items():
        for form in forms:
            if value in ("left", "right", "up", "down"):
                continue
            add("motion", value, form)
    for way in ("left", "right", "up", "down"):
        add("way", way, way, way + "wards", way + "ward", f"to the {way}", f"towards the {way}")
    for way, text in (("left", "from right to left"), ("right", "from left to right")):
        add("way", way, text, text.replace("from ", "from the ").replace("to ", "to the "))
    for way, text in (("down", "from top to bottom"), ("up", "from bottom to top")):
        add("way", way, text, text.replace("from ", "from the ").replace("to ", "to the "))
    add("way", "up", "rising", "rises", "rise", "ascending")
    add("way", "down", "falling", "falls", "fall", "sinking", "sinks", "descending")
    circles = (
        "in a circle",
        "in circles",
        "around in circles",
        "circles around",
        "orbits",
        "orbit",
        "circular",
    )
    add("motion", "circling", *circles)
    add("motion", "bouncing", "bounces", "bounce", "hops", "hop", "jumps", "jump", "jumping", "up and down")
    add("motion", "bouncing", "bounces up and down", "jumps up and down", "moving up and down")
    add("motion", "growing", "grows", "grow", "gets bigger", "gets larger", "expands", "becoming bigger")
    add("motion", "growing", "get bigger", "get larger", "expand", "becomes larger", "becomes bigger")
    add(
        "motion", "shrinking", "shrinks", "shrink", "gets smaller", "contracts", "becomes smaller", "contract"
    )
    add("motion", "shrinking", "get smaller", "become smaller", "becoming smaller")
    add("motion", "spinning", "spins", "spin", "rotates", "rotate", "turning", "turns around", "turn around")
    add("motion", "spinning", "spins around", "rotation")
    add("motion", "still", "still", "stationary", "motionless", "at rest", "stands still", "stays still")
    add("motion", "still", "does not move", "doesn't move", "isn't moving", "is not moving", "static")
    add("motion", "diagonal", "diagonally")
    for value, left in (("left", "left"), ("right", "right")):
        add("side", value, f"{left} of", f"to the {left} of", f"on the {left}", f"on the {left} of")
        add("side", value, f"on the {left} side", f"on the {left} side of", f"further {left}")
    add("side", "above", "above", "over", "higher", "higher than", "on top", "on top of", "at the top")
    add("side", "below", "below", "under", "beneath", "underneath", "lower", "lower than", "at the bottom")
    add("speed", "slow", "slow", "slowly", "slower")
    add("speed", "fast", "fast", "quick", "quickly", "faster", "rapidly", "at high speed")
    add("event", "appears", "appears", "appear", "appearing", "shows up", "comes into view", "appeared")
    add("event", "vanishes", "vanishes", "vanish", "disappears", "disappear", "goes away", "vanished")
    add("event", "vanishes", "disappeared", "is gone", "vanishing", "disappearing")
    add("event", "recolors", "turns", "becomes", "changes color", "changes its color", "changes to", "turned")
    add("event", "recolors", "changes from", "changed color", "became")
    add("count", "zero", "zero", "none", "0", "no objects", "no shapes", "nothing")
    for number, digit, word in (("one", "1", "single"), ("two", "2", "couple"), ("three", "3", "trio")):
        add("count", number, number, digit, word)
    for number, digit in (("four", "4"), ("five", "5"), ("six", "6"), ("ten", "10")):
        add("count", number, number, digit)
    add("video", "first", "first video", "video one", "first clip", "first one", "video 1", "first")
    add("video", "second", "second video", "video two", "second clip", "second one", "video 2", "second")
    add("video", "both", "both", "same number", "the same")
    add("not", "not", "not", "isn't", "doesn't", "never", "neither")
    return words


VOCABULARY = _vocabulary()
_SCAN = re.compile(
    r"(?<![\w'])(?:" + "|".join(sorted(map(re.escape, VOCABULARY), key=len, reverse=True)) + r")(?![\w'])"
)
_PRONOUN = re.compile(
    r"\b(the|which|that|other|red|green|blue|yellow|orange|purple|pink|cyan|small|large) one\b"
)


def facts(text: str) -> list[Fact]:
    """All that the text says, in its order."""
    plain = text.lower().replace("colour", "color").replace("’", "'")
    return [Fact(*VOCABULARY[m[0]], m.start()) for m in _SCAN.finditer(plain)]


def _values(reply: str, *families: str) -> set[str]:
    return {f.value for f in facts(reply) if f.family in families}


def judge_answer(qa: QA, reply: str) -> bool:
    """Whether the reply says what is right, and nothing of the same family that is wrong."""
    reply = reply.strip()
    return bool(reply) and JUDGES[qa.key.family](qa.key, reply)


def _only(*families: str) -> Callable[[Key, str], bool]:
    """Exactly the right value of these families, nothing negated."""

    def judge(key: Key, reply: str) -> bool:
        said = _values(reply, *families)
        return key.right[0] in said and said <= {key.right[0], *key.allowed} and not _values(reply, "not")

    return judge


def _becomes(key: Key, reply: str) -> bool:
    """The right colour stands last: `the red circle turns blue`."""
    colors = [f.value for f in facts(reply) if f.family == "color"]
    return bool(colors) and colors[-1] == key.right[0] and set(colors) <= {key.right[0], *key.allowed}


def _count(key: Key, reply: str) -> bool:
    plain = _PRONOUN.sub(r"\1", reply.lower())
    said = _values(plain, "count")
    if re.search(
        r"\b(no|not any|aren't any) (\w+ ){0,2}(circles|squares|triangles|stars|crosses|rings|objects)", plain
    ):
        said.add("zero")
    return said == {key.right[0]}


def _background(key: Key, reply: str) -> bool:
    found = facts(reply)
    plain = reply.lower().replace("colour", "color")
    before = re.findall(r"(?:dark )?(\w+) background", plain)
    named = {f.value for f in found if f.family == "background"}
    if key.right[0] not in named or named != {key.right[0]}:
        return False
    if any(w in COLOR_WORDS and w != "blue" for w in before):
        return False
    return bool(before) or not {f.value for f in found if f.family == "color"}


def _yesno(key: Key, reply: str) -> bool:
    first = re.match(r"[\W_]*(\w+)", reply.lower())
    word = first[1] if first else ""
    said = (
        "yes" if word in ("yes", "yeah", "yep", "correct", "true") else "no" if word in ("no", "nope") else ""
    )
    return said == key.right[0]


def _object(key: Key, reply: str, *, color_needed: bool) -> bool:
    color, shape = key.right[:2]
    # "The red circle moves before the blue square" names its rival after a word that sets it apart.
    plain = re.split(r"\b(?:before|in front of|ahead of|left of|right of|above|below|than)\b", reply.lower())[
        0
    ]
    colors, shapes = _values(plain, "color"), _values(plain, "shape")
    if not colors <= {color, *key.allowed} or not shapes <= {shape} or _values(plain, "not"):
        return False
    return color in colors or bool(colors) or (bool(shapes) and not color_needed)


_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
_WAYS = {"left": "left", "right": "right", "up": "above", "down": "below"}


def _side(key: Key, reply: str) -> bool:
    """Which side, read with who is named first."""
    color, shape, side, other_color, other_shape = key.right
    found = [f for f in facts(reply) if f.family in ("color", "shape", "side", "way", "not")]
    sides = [_WAYS.get(f.value, f.value) for f in found if f.family in ("side", "way")]
    if any(f.family == "not" for f in found) or len(set(sides)) != 1:
        return False
    at = next(f.at for f in found if f.family in ("side", "way"))
    before = {f.value for f in found if f.at < at and f.family in ("color", "shape")}
    after = {f.value for f in found if f.at > at and f.family in ("color", "shape")}
    subject, other = {color, shape}, {other_color, other_shape}
    if before <= subject and after <= other and not (after and after <= subject - other):
        return sides[0] == side
    if before <= other and after <= subject:
        return sides[0] == _OPPOSITE[side]
    return False


def _event(key: Key, reply: str) -> bool:
    event, color, shape, new = key.right
    found = facts(reply)
    if {f.value for f in found if f.family == "event"} != {event} or any(f.family == "not" for f in found):
        return False
    colors = [f.value for f in found if f.family == "color"]
    if not set(colors) <= {color, new} or not {f.value for f in found if f.family == "shape"} <= {shape}:
        return False
    return event != "recolors" or (bool(colors) and colors[-1] == new) or "named" in key.allowed


def _difference(key: Key, reply: str) -> bool:
    """Both values, the first video's first."""
    first, second = key.right
    values = [f.value for f in facts(reply) if f.value in (first, second)]
    kinds = {f.family for f in facts(reply) if f.value in (first, second)}
    rivals = {f.value for f in facts(reply) if f.family in kinds - {"count"}} - {first, second}
    return values[:1] == [first] and values[-1:] == [second] and not rivals


def _describe(key: Key, reply: str) -> bool:
    """Every object with its colour, shape, size and motion; the background; and what happens."""
    assert key.request is not None, "a description is judged by a request"
    plain = reply.lower()
    tail = re.search(r";|, with the |\. the ", plain)
    body, rest = (plain[: tail.start()], plain[tail.start() :]) if tail else (plain, "")
    rest = rest.rpartition(";")[2]
    if key.right and not _event(Key("event", key.right), rest):
        return False
    if not key.right and _values(rest, "event"):
        return False
    found = facts(body)
    if {f.value for f in found if f.family == "background"} != {key.request.background}:
        return False
    shapes = [f for f in found if f.family == "shape"]
    said = []
    for here, following in pairwise([*shapes, Fact("", "", len(body))]):
        previous = max([f.at for f in shapes if f.at < here.at], default=-1)
        names = [f for f in found if previous < f.at < here.at]
        # A size or colour before a noun is the noun's, whatever moved before it.
        color = next((f.value for f in reversed(names) if f.family == "color"), None)
        size = next((f.value for f in reversed(names) if f.family == "size"), None)
        after = [f for f in found if here.at < f.at < following.at]
        motion = [f.value for f in after if f.family in ("motion", "way")]
        speed = [f.value for f in after if f.family == "speed"]
        said.append((here.value, color, size, motion, speed))
    if len(said) != len(key.request.things):
        return False
    wanted = {(w.shape, w.color): w for w in key.request.things}
    for shape, color, size, motion, speed in said:
        thing = wanted.pop((shape, color), None)
        if thing is None or motion != [thing.motion] or size != thing.size:
            return False
        if speed and speed != [thing.speed]:
            return False
    return not wanted


def _colors(key: Key, reply: str) -> bool:
    return _values(reply, "color") == set(key.right) and not _values(reply, "not")


def _shapes(key: Key, reply: str) -> bool:
    return _values(reply, "shape") == set(key.right) and not _values(reply, "not")


def _objects(key: Key, reply: str) -> bool:
    """Exactly these objects, each a colour before a shape."""
    words = [f.value for f in facts(reply) if f.family in ("color", "shape")]
    said = sorted(f"{c} {s}" for c, s in zip(words[::2], words[1::2], strict=False))
    return len(words) == 2 * len(key.right) and said == sorted(key.right) and not _values(reply, "not")


def _place(key: Key, reply: str) -> bool:
    """Top or bottom, left or right, or the middle."""
    plain = re.sub(r"\b(up+er|above|up)\b", "top", reply.lower())
    plain = re.sub(r"\b(lower|below|down)\b", "bottom", plain)
    said = set(re.findall(r"\b(top|bottom|left|right)\b", plain))
    if not said and re.search(r"\b(middle|cent(?:er|re)|central)\b", plain):
        said = {"middle"}
    return said == set(key.right)


def _nothing(key: Key, reply: str) -> bool:
    """The reply says that what was asked for is not there."""
    return bool(re.search(r"\b(no|not|cannot|can't|nothing|none|isn't|don't|neither)\b", reply.lower()))


def _double(key: Key, reply: str) -> bool:
    """What each of the questions wants, and nothing that one of them forbids."""
    return all(JUDGES[part.family](part, reply) for part in key.parts)


JUDGES: dict[str, Callable[[Key, str], bool]] = {
    "color": _only("color"),
    "becomes": _becomes,
    "shape": _only("shape"),
    "motion": _only("motion", "way"),
    "count": _count,
    "size": _only("size"),
    "background": _background,
    "speed": _only("speed"),
    "side": _side,
    "object": lambda key, reply: _object(key, reply, color_needed=False),
    "object_by_color": lambda key, reply: _object(key, reply, color_needed=True),
    "event": _event,
    "yesno": _yesno,
    "video": _only("video"),
    "difference": _difference,
    "describe": _describe,
    "colors": _colors,
    "shapes": _shapes,
    "objects": _objects,
    "place": _place,
    "nothing": _nothing,
    "double": _double,
}
