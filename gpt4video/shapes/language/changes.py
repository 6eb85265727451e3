"""Changes that people ask for in a video that was drawn or posted.

    change(request, rng, part)      ("Make it blue.", the whole new request)

A change keeps everything that it does not name, but for what no longer fits: a size where something now
grows, a speed where it no longer travels, a relation where motions or objects are others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gpt4video.shapes.language.asking import casual
from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    Request,
    Wanted,
    article,
    noun,
    phrase,
    pick,
    word,
)
from gpt4video.shapes.language.refer import STOPS, VERBS, doing, third
from gpt4video.shapes.language.requests import allowed
from gpt4video.shapes.language.wordings import (
    ADD_ASIDE_BUT,
    ADD_ASIDE_DO,
    ADD_BUT,
    ADD_DO,
    ALL_MOVE,
    ALL_SIZED,
    ASIDE,
    BACK_BUT,
    BACK_DO,
    BACKGROUND_BUT,
    BACKGROUND_DO,
    BUT,
    BUT_POSTED,
    DO,
    IT_BUT,
    OF_BUT,
    OF_DO,
    ONLY_BUT,
    ONLY_DO,
    PREFER,
    PUT_BUT,
    PUT_DO,
    REMOVE_BUT,
    REMOVE_DO,
    SHORT,
    SWAP,
)
from gpt4video.shapes.world import BACKGROUNDS, COLORS, MOTIONS, SHAPES, SIZES, TRAVELS, Part, observable

Rng = np.random.Generator


class Change(NamedTuple):
    """What is said after "but", what is said as an order, and the whole request that results."""

    but: str
    do: str
    request: Request
    be: str = ""
    """What one object shall be, where that can be said: "blue", "moving left"."""
    of: str = "it"
    """The object that shall be so."""


MUCH = ("",) * 8 + ("a bit ", "a bit ", "much ", "a lot ", "way ", "a little ")


def point(request: Request, index: int, rng: Rng) -> str:
    """Words for one object of a request."""
    w = request.things[index]
    others = [t for i, t in enumerate(request.things) if i != index]
    if not others and rng.random() < 0.75:
        return "it"
    ways = [f"the {word(rng, SHAPE_WORDS[w.shape])}"] * 2 if all(t.shape != w.shape for t in others) else []
    if w.color is not None:
        what = word(rng, ("one", "one", "one", "object", "thing", "shape"))
        ways += [f"the {word(rng, COLOR_WORDS[w.color])} {what}", f"the {noun(w, rng)}"]
    return ways[int(rng.integers(len(ways)))]


def _with(request: Request, index: int, keep_relation: bool = True, **fields: str | None) -> Request:
    """The request with one object changed; what does not fit the new motion goes."""
    w = replace(request.things[index], **fields)  # type: ignore[arg-type]
    if w.motion not in TRAVELS:
        w = replace(w, speed=None)
    if w.motion in ("growing", "shrinking"):
        w = replace(w, size=None)
    things = (*request.things[:index], w, *request.things[index + 1 :])
    return replace(request, things=things, relation=request.relation if keep_relation else None)


def _said(kind: str, request: Request, index: int, rng: Rng, part: Part, **words: str) -> tuple[str, str]:
    w = request.things[index]
    alone = len(request.things) == 1
    words = {"o": point(request, index, rng), "s": w.shape, "w": w.color or "that", **words}
    but = pick(rng, (IT_BUT if alone else OF_BUT)[kind], part).format(**words)
    do = pick(rng, OF_DO[kind], part).format(**words)
    return but, do.replace("the color of it", "its color").replace("the size of it", "its size")


def _one(rng: Rng, options: list[str]) -> str | None:
    return options[int(rng.integers(len(options)))] if options else None


def _index(request: Request, rng: Rng) -> int:
    return int(rng.integers(len(request.things)))


def order_for(o: str, rng: Rng, part: Part) -> str:
    """Any order about an object, whatever it is."""
    kind = ("color", "motion", "size")[int(rng.integers(3))]
    motion = MOTIONS[int(rng.integers(len(MOTIONS)))]
    verb = word(rng, VERBS[motion])
    x = word(rng, tuple(COLORS)) if kind == "color" else "large"
    template = pick(rng, OF_DO[kind], part)
    return template.format(o=o, x=x, er="bigger", do=verb, does=third(verb), doing=doing(motion, rng))


def recolor(request: Request, rng: Rng, part: Part) -> Change | None:
    index = _index(request, rng)
    taken = {w.color for w in request.things}
    value = _one(rng, [c for c in COLORS if c not in taken])
    if value is None:
        return None
    but, do = _said("color", request, index, rng, part, x=word(rng, COLOR_WORDS[value]))
    but = but.replace(" a orange", " an orange")
    after = _with(request, index, color=value)
    return Change(but, do, after, word(rng, COLOR_WORDS[value]), point(request, index, rng))


def new_motion(request: Request, rng: Rng, part: Part) -> Change | None:
    index = _index(request, rng)
    w = request.things[index]
    value = _one(rng, [m for m in MOTIONS if m != w.motion and observable(w.shape, m)])
    assert value is not None, "there are many motions"
    verb = word(rng, VERBS[value])
    if value == "still" and rng.random() < 0.4:
        verb = word(rng, STOPS)
    said = doing(value, rng)
    but, do = _said("motion", request, index, rng, part, do=verb, does=third(verb), doing=said)
    after = _with(request, index, keep_relation=False, motion=value)
    return Change(but, do, after, doing(value, rng), point(request, index, rng))


def resize(request: Request, rng: Rng, part: Part) -> Change | None:
    index = _index(request, rng)
    w = request.things[index]
    if w.motion in ("growing", "shrinking") or request.relation == "passes":
        return None
    value = _one(rng, [s for s in SIZES if s != w.size])
    assert value is not None, "there are two sizes"
    er = word(
        rng,
        ("bigger", "bigger", "larger") if value == "large" else ("smaller", "smaller", "smaller", "tinier"),
    )
    er = word(rng, MUCH) + er
    x = word(rng, SIZE_WORDS[value])
    but, do = _said("size", request, index, rng, part, x=x, er=er)
    return Change(but, do, _with(request, index, size=value), word(rng, (x, er)), point(request, index, rng))


def repace(request: Request, rng: Rng, part: Part) -> Change | None:
    index = _index(request, rng)
    w = request.things[index]
    if w.motion not in TRAVELS or request.relation == "passes":
        return None
    value = _one(rng, [s for s in ("slow", "fast") if s != w.speed])
    assert value is not None, "there are two speeds"
    er = {
        "slow": ("slower", "slower", "more slowly"),
        "fast": ("faster", "faster", "more quickly", "quicker"),
    }[value]
    how = word(rng, MUCH) + word(rng, er)
    but, do = _said("speed", request, index, rng, part, er=how)
    return Change(but, do, _with(request, index, speed=value), how, point(request, index, rng))


def reshape(request: Request, rng: Rng, part: Part) -> Change | None:
    """Another shape, at times in another color: `make it a blue box`."""
    index = _index(request, rng)
    w = request.things[index]
    value = _one(rng, [s for s in SHAPES if s != w.shape and observable(s, w.motion or "still")])
    assert value is not None, "there are many shapes"
    taken = {t.color for t in request.things}
    color = _one(rng, [c for c in COLORS if c not in taken]) if rng.random() < 0.25 else None
    name = word(rng, SHAPE_WORDS[value]) if color is None else noun(Wanted(value, color), rng)
    but, do = _said("shape", request, index, rng, part, x=article(name))
    return Change(but, do, _with(request, index, shape=value, color=color or w.color))


def rebackground(request: Request, rng: Rng, part: Part) -> Change | None:
    value = _one(rng, [b for b in BACKGROUNDS if b != request.background])
    assert value is not None, "there are four backgrounds"
    x = word(rng, BACKGROUND_WORDS[value])
    but = pick(rng, BACKGROUND_BUT, part).format(x=x)
    return Change(but, pick(rng, BACKGROUND_DO, part).format(x=x), replace(request, background=value))


def add(request: Request, rng: Rng, part: Part) -> Change | None:
    """One object more; where it joins one other, at times on a side of it."""
    if len(request.things) > 2 or request.things[0].color is None:
        return None
    color = _one(rng, [c for c in COLORS if c not in {w.color for w in request.things}])
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    motion = _one(rng, [m for m in MOTIONS if observable(shape, m)]) if rng.random() < 0.5 else None
    size = _one(rng, list(SIZES)) if rng.random() < 0.3 and motion not in ("growing", "shrinking") else None
    new = Wanted(shape, color, size, motion)
    x, after = phrase(new, rng), replace(request, things=(*request.things, new), relation=None)
    # "A star moving left below it" would pass below it.
    if len(request.things) == 1 and motion not in TRAVELS and rng.random() < SIDED:
        side = word(rng, tuple(ASIDE))
        if beside := _beside(after, 1, side):
            o = f"the {word(rng, SHAPE_WORDS[request.things[0].shape])}" if rng.random() < 0.5 else "it"
            at = pick(rng, ASIDE[side], part).format(o=o)
            but, do = (pick(rng, some, part).format(x=x, at=at) for some in (ADD_ASIDE_BUT, ADD_ASIDE_DO))
            return Change(but, do, beside)
    but, do = pick(rng, ADD_BUT, part).format(x=x), pick(rng, ADD_DO, part).format(x=x)
    return Change(but, do, after)


SIDED = 0.5
"""Share of objects added to one other whose side is named, where it can be."""
ACROSS = {"left": "left_of", "right": "left_of", "above": "above", "below": "above"}
"""The relation that a side asks for: the first object is on the left, or above."""


def _beside(request: Request, index: int, side: str) -> Request | None:
    """The request with one of its two objects on a side of the other.

    None where one of them moves along that line: they might cross.
    """
    relation = ACROSS[side]
    moving = ("left", "right") if relation == "left_of" else ("up", "down", "bouncing")
    if any(w.motion in moving for w in request.things):
        return None
    first, other = request.things[index], request.things[1 - index]
    things = (first, other) if side in ("left", "above") else (other, first)
    return replace(request, things=things, relation=relation)  # type: ignore[arg-type]


def put_aside(request: Request, rng: Rng, part: Part) -> Change | None:
    """One of two objects stands on another side of the other."""
    if len(request.things) != 2 or request.relation == "passes":
        return None
    index, side = _index(request, rng), word(rng, tuple(ASIDE))
    after = _beside(request, index, side)
    if after is None or after == request:
        return None
    other = f"the {noun(request.things[1 - index], rng)}" if rng.random() < 0.6 else "the other one"
    words = {"o": point(request, index, rng), "at": pick(rng, ASIDE[side], part).format(o=other)}
    but, do = (pick(rng, some, part).format(**words) for some in (PUT_BUT, PUT_DO))
    return Change(but, do, after)


def remove(request: Request, rng: Rng, part: Part, orders: tuple[str, ...] = REMOVE_DO) -> Change | None:
    if len(request.things) < 2:
        return None
    index = _index(request, rng)
    o = point(request, index, rng)
    things = (*request.things[:index], *request.things[index + 1 :])
    but, do = pick(rng, REMOVE_BUT, part).format(o=o), pick(rng, orders, part).format(o=o)
    return Change(but, do, replace(request, things=things, relation=None))


def only(request: Request, rng: Rng, part: Part) -> Change | None:
    """One of several objects, alone."""
    if len(request.things) < 2:
        return None
    index = _index(request, rng)
    o = point(request, index, rng)
    alone = replace(request, things=(request.things[index],), relation=None)
    return Change(pick(rng, ONLY_BUT, part).format(o=o), pick(rng, ONLY_DO, part).format(o=o), alone)


def swap(request: Request, rng: Rng, part: Part) -> Change | None:
    if len(request.things) != 2:
        return None
    a, b = request.things
    things = (replace(a, color=b.color), replace(b, color=a.color))
    said = pick(rng, SWAP, part)
    return Change(said, said, replace(request, things=things))


def together(request: Request, rng: Rng, part: Part) -> Change | None:
    """All objects move alike from now on, or are of one size."""
    if len(request.things) < 2 or request.relation == "passes":
        return None
    after, o = (
        request,
        word(rng, ("them all", "all of them") if len(request.things) > 2 else ("both", "them both")),
    )
    if rng.random() < 0.6:
        value = MOTIONS[int(rng.integers(len(MOTIONS)))]
        verb = word(rng, VERBS[value])
        for index in range(len(request.things)):
            after = _with(after, index, keep_relation=False, motion=value)
        do = pick(rng, ALL_MOVE, part).format(o=o, do=verb)
    else:
        if any(w.motion in ("growing", "shrinking") for w in request.things):
            return None
        value = word(rng, tuple(SIZES))
        for index in range(len(request.things)):
            after = _with(after, index, size=value)
        do = pick(rng, ALL_SIZED, part).format(o=o, x=word(rng, SIZE_WORDS[value]))
    return None if after == request else Change(do, do, after)


def turn_back(request: Request, rng: Rng, part: Part) -> Change | None:
    """The one object goes the other way."""
    back = {"left": "right", "right": "left", "up": "down", "down": "up"}.get(request.things[0].motion or "")
    if back is None or len(request.things) > 1:
        return None
    but, do = pick(rng, BACK_BUT, part), pick(rng, BACK_DO, part)
    return Change(but, do, _with(request, 0, keep_relation=False, motion=back))


CHANGES: dict[str, tuple[float, Callable[[Request, Rng, Part], Change | None]]] = {
    "color": (3.0, recolor),
    "motion": (3.0, new_motion),
    "size": (1.5, resize),
    "speed": (1.2, repace),
    "shape": (2.0, reshape),
    "background": (2.0, rebackground),
    "add": (1.5, add),
    "remove": (1.5, remove),
    "only": (0.8, only),
    "put_aside": (0.6, put_aside),
    "swap": (0.6, swap),
    "together": (0.6, together),
    "turn_back": (0.8, turn_back),
}
"""How often each change is asked for, and what makes it."""
_CUT = np.cumsum([w for w, _ in CHANGES.values()]) / sum(w for w, _ in CHANGES.values())
JOINED = ("color", "motion", "size", "background")
"""Changes that may be asked for together: `blue and moving up`."""


def _draw_change(request: Request, rng: Rng, part: Part, kinds: tuple[str, ...] = ()) -> tuple[str, Change]:
    for _ in range(200):
        kind = list(CHANGES)[int(np.searchsorted(_CUT, rng.random()))]
        if kinds and kind not in kinds:
            continue
        made = CHANGES[kind][1](request, rng, part)
        if made is not None and allowed(made.request, part):
            return kind, made
    return "background", rebackground(request, rng, part)  # type: ignore[return-value]


def change(request: Request, rng: Rng, part: Part, posted: bool = False) -> tuple[str, Request]:
    """What somebody says to change a video, and all that is then asked for.

    `posted`: the video was posted, so that the words must ask for a drawing.
    """
    kind, made = _draw_change(request, rng, part)
    but, do, after = made.but, made.do, made.request
    if len(request.things) == 1 and kind in JOINED and rng.random() < 0.15:
        for _ in range(20):
            other, more = _draw_change(after, rng, part, JOINED)
            if other != kind:
                but, do, after = f"{but} and {more.but}", f"{do} and {more.do}", more.request
                break
    if after is made.request and made.be and rng.random() < 0.12:
        text = pick(rng, PREFER, part).format(o=made.of, x=made.be)
    elif len(but) < 40 and kind != "swap" and rng.random() < 0.14:
        text = pick(rng, SHORT, part).format(x=but)
    elif rng.random() < 0.5:
        frames = BUT_POSTED if posted and rng.random() < 0.7 else BUT
        text = pick(rng, frames, part).format(x=but)
    else:
        text = pick(rng, DO, part).format(x=do)
    return casual(rng, text[:1].upper() + text[1:]), after
