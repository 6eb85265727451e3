"""Wishes in loose grammar: traits in any order, whole sentences, one object placed beside another.

    moving left, a small red star
    a star that's red and small, going to the left. black background
    an orange ball with a violet star above it
    there should be a yellow box. it rotates

Every form says the whole request and nothing else. Tables are held out as in `describe.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    RELATIONS,
    SHAPE_WORDS,
    SIZE_WORDS,
    SPEED_WORDS,
    Request,
    Wanted,
    article,
    listing,
    noun,
    phrase,
    pick,
    word,
)
from gpt4video.shapes.language.refer import VERBS, doing, third
from gpt4video.shapes.world import Part

Rng = np.random.Generator

BEFORE: dict[str, tuple[str, ...]] = {
    "up": ("rising", "ascending"),
    "down": ("falling", "sinking", "descending"),
    "circling": ("circling", "orbiting"),
    "bouncing": ("bouncing", "bouncing", "hopping", "jumping"),
    "growing": ("growing", "growing", "expanding"),
    "shrinking": ("shrinking",),
    "spinning": ("spinning", "spinning", "rotating", "turning"),
    "still": ("motionless", "static", "stationary", "still", "unmoving"),
}
"""Motions that may stand before what moves: `a bouncing ball`."""
PACED = {
    "slow": ("slow", "slow", "slow-moving", "slowly moving"),
    "fast": ("fast", "fast", "quick", "fast-moving", "speedy"),
}
HASTE = {
    "slow": ("creeping", "crawling", "inching", "strolling"),
    "fast": ("zooming", "zooming", "racing", "dashing", "rushing", "speeding", "whizzing", "zipping"),
}
"""Motions in a straight line whose word has the speed in it."""
WAYS = {
    "left": ("left", "to the left", "from right to left", "towards the left"),
    "right": ("right", "to the right", "from left to right", "towards the right"),
    "up": ("up", "upwards", "to the top"),
    "down": ("down", "downwards", "to the bottom"),
}
ADVERBS = {"slow": ("slowly", "slowly", "very slowly"), "fast": ("quickly", "quickly", "rapidly")}

BACKED = (
    ", {x} background",
    ", {x} background",
    " on a {x} background",
    " on {x}",
    ", on {x}",
    ", background {x}",
    ", background: {x}",
    ", the background {x}",
    ", the background is {x}",
    ", the background should be {x}",
    ", and the background should be {x}",
    ", and make the background {x}",
    ", and the background is {x}",
    ", all on {x}",
    ", {x} backdrop",
    ", on a {x} backdrop",
    ", with {x} behind",
    ", in front of {x}",
    ". {x} background",
    ". {x} background please",
    ". On a {x} background",
    ". Background {x}",
    ". Background: {x}",
    ". The background is {x}",
    ". The background should be {x}",
    ". Make the background {x}",
    ". Put it on a {x} background",
    ". On {x}",
    ". I want the background {x}",
    ". Let the background be {x}",
)
"""Said after the objects."""
BACKED_FIRST = (
    "{x} background, {p}",
    "{x} background: {p}",
    "{x} background with {p}",
    "{x} background and {p}",
    "a {x} background and {p}",
    "on {x}, {p}",
    "on {x}: {p}",
    "on a {x} background: {p}",
    "on a {x} background, draw {p}",
    "on a {x} background I want {p}",
    "on a {x} backdrop, {p}",
    "in front of a {x} background, {p}",
    "against a {x} background, {p}",
    "with a {x} background, {p}",
    "background {x}, {p}",
    "background: {x}. {p}",
    "the background is {x}. There is {p}",
    "the background should be {x} and I want {p}",
    "make the background {x} and draw {p}",
    "make the background {x} and put {p} in it",
    "make it {x} in the background, with {p}",
    "take a {x} background and put {p} on it",
    "draw a {x} background with {p}",
    "I want a {x} background and {p}",
    "let the background be {x}, with {p} on it",
    "use a {x} background and draw {p}",
)
LET = (
    "let {n} {do}",
    "let {n} {do}",
    "make {n} {do}",
    "have {n} {do}",
    "I want {n} to {do}",
    "I'd like {n} to {do}",
    "I would like {n} to {do}",
    "I want to see {n} {do}",
    "I'd like to see {n} {do}",
    "I'd love to see {n} {do}",
    "show me {n} that can {do}",
    "show {n} {do}",
    "can you make {n} {do}?",
    "can you let {n} {do}?",
    "could you make {n} {do}?",
    "could you have {n} {do}?",
    "could you show me how {n} might {do}?",
    "please let {n} {do}",
    "please make {n} {do}",
    "please have {n} {do}",
    "watch {n} {do}",
    "draw {n} and let it {do}",
    "draw {n} and make it {do}",
    "draw {n}, it should {do}",
    "{n}. It should {do}",
    "{n}, it should {do}",
    "{n}, and it should {do}",
    "{n}, make it {do}",
    "{n}. Let it {do}",
    "{n}. Make it {do} please",
    "there should be {n} and it should {do}",
    "I need {n}, it has to {do}",
    "let me see {n} {do}",
    "draw {n} so that it will {do}",
)
"""Of one object; `{do}` is a verb, perhaps with its speed."""
CLAUSE = (
    "{p}",
    "{p}",
    "{p}, please",
    "a video where {p}",
    "a video in which {p}",
    "a clip where {p}",
    "a clip in which {p}",
    "an animation where {p}",
    "make a video where {p}",
    "make a video in which {p}",
    "make a clip where {p}",
    "make me a video where {p}",
    "can you make a video where {p}?",
    "can you make me a clip where {p}?",
    "could you make a clip in which {p}?",
    "could you draw a video where {p}?",
    "I want a video where {p}",
    "I want a clip in which {p}",
    "I'd like a video where {p}",
    "I'd like to see how {p}",
    "I want to see how {p}",
    "show me how {p}",
    "show me a video where {p}",
    "draw how {p}",
    "draw a video where {p}",
    "please draw how {p}",
    "give me a clip where {p}",
    "create a video in which {p}",
    "generate a video where {p}",
    "I imagine that {p}",
    "the video should show how {p}",
    "can you show me how {p}?",
    "let me see how {p}",
    "please make me a clip in which {p}",
)
"""Of whole sentences: `a red ball bounces`."""
IT_DOES = (
    "{n}. It {does}",
    "{n}. It {does}",
    "{n}, it {does}",
    "{n} and it {does}",
    "{n}. It's {doing}",
    "{n}, it's {doing}",
    "{n}, {doing}",
    "{n}, and it is {doing}",
    "there is {n}. It {does}",
    "there's {n} and it {does}",
    "there's {n} {doing}",
    "there is {n} {doing}",
    "there is {n} and it is {doing}",
    "there should be {n}. It {does}",
    "there should be {n} {doing}",
    "draw {n}. It {does}",
    "draw {n}, it {does}",
    "draw {n}. It is {doing}",
    "{doing}, {n}",
    "{doing}: {n}",
    "{n} in motion: {doing}",
    "please draw {n}, {doing}",
    "I want {n}. It {does}",
    "I'd like {n}, {doing}",
    "I see {n} and it {does}",
    "take {n}, it is {doing}",
)
"""Of one object, in two steps."""
BESIDE: dict[str, tuple[str, ...]] = {
    "left_of": (
        "{a} left of {b}",
        "{a} left of {b}",
        "{a} to the left of {b}",
        "{a} to the left of {b}",
        "{a} on the left of {b}",
        "{a} that is left of {b}",
        "{a} that's to the left of {b}",
        "{a} that's on the left of {b}",
        "{b} right of {a}",
        "{b} to the right of {a}",
        "{b} to the right of {a}",
        "{b} on the right of {a}",
        "{b} that is to the right of {a}",
        "{a} sitting left of {b}",
        "{b} which is right of {a}",
    ),
    "above": (
        "{a} above {b}",
        "{a} above {b}",
        "{a} above {b}",
        "{a} over {b}",
        "{a} that is above {b}",
        "{a} that's above {b}",
        "{a} higher up than {b}",
        "{b} below {a}",
        "{b} below {a}",
        "{b} under {a}",
        "{b} underneath {a}",
        "{b} beneath {a}",
        "{b} that is below {a}",
        "{a} placed above {b}",
        "{b} which is under {a}",
    ),
}
"""What is named first has no words behind its name."""
AND_BESIDE: dict[str, tuple[str, ...]] = {
    "left_of": (
        "{a} and to the right of it {b}",
        "{a} and right of it {b}",
        "{a}, and on its right {b}",
        "{a} with {b} to its right",
        "{a} with {b} on the right of it",
        "{b} and to the left of it {a}",
        "{b} and left of it {a}",
        "{b}, and on its left {a}",
        "{b} with {a} to its left",
        "{a} on the left and {b} on the right",
        "{b} on the right and {a} on the left",
        "on the left {a}, on the right {b}",
        "on the left {a} and on the right {b}",
        "on the right {b}, on the left {a}",
        "left: {a}, right: {b}",
        "{a} on the left, {b} on the right",
        "{a} (left) and {b} (right)",
        "to the left {a}, to the right {b}",
        "at the left {a}, at the right {b}",
    ),
    "above": (
        "{a} and below it {b}",
        "{a} and under it {b}",
        "{a}, and underneath {b}",
        "{a} with {b} below it",
        "{a} with {b} under it",
        "{b} and above it {a}",
        "{b} with {a} above it",
        "{b} with {a} over it",
        "{a} at the top and {b} at the bottom",
        "{b} at the bottom and {a} at the top",
        "at the top {a}, at the bottom {b}",
        "at the bottom {b}, at the top {a}",
        "top: {a}, bottom: {b}",
        "{a} on top and {b} below",
        "{a} up top, {b} at the bottom",
        "{a} at the top, {b} at the bottom",
        "{a} (top) and {b} (bottom)",
        "above {a}, below {b}",
        "{a} and beneath it {b}",
    ),
    "passes": (
        "{a} and {b} passing in front of it",
        "{a} with {b} passing in front of it",
        "{b}, passing in front of {a}",
        "{b} that passes in front of {a}",
        "{b} which goes in front of {a}",
        "{a} behind {b}, which passes in front of it",
        "{a}, and {b} goes past in front of it",
        "{a} and in front of it {b} passing by",
        "{a} and in front of it passes {b}",
        "{b} going past in front of {a}",
        "{b} moving past in front of {a}",
    ),
}
COUNTED_OUT = (
    "{n} objects: {p}",
    "{n} objects: {p}",
    "{n} shapes: {p}",
    "{n} things: {p}",
    "{n} objects, {p}",
    "{n} shapes, {p}",
    "a video with {n} objects: {p}",
    "draw {n} objects: {p}",
    "draw {n} shapes: {p}",
    "draw {n} things, {p}",
    "I want {n} objects: {p}",
    "there are {n} objects: {p}",
    "there should be {n} shapes: {p}",
    "make a video with {n} shapes: {p}",
)


OF_A_SHAPE = (
    "two {z}{s}, one {a} and one {b}",
    "two {z}{s}, one {a}, one {b}",
    "two {z}{s}, one {a} and the other {b}",
    "two {z}{s}, a {a} one and a {b} one",
    "two {z}{s}: one {a}, one {b}",
    "2 {z}{s}, one {a} one {b}",
    "two {z}{s}, {a} and {b}",
    "two {z}{s} in {a} and {b}",
    "two {z}{s}, the first {a}, the second {b}",
    "a pair of {z}{s}, one {a} and one {b}",
    "two {z}{s}, one of them {a} and one {b}",
    "a {z}{a} and a {z}{b} {one}",
)
"""Two objects of one shape."""
TOWARDS = (
    "moving towards each other",
    "moving towards each other",
    "moving toward each other",
    "approaching each other",
    "going towards each other",
    "that move towards each other",
    "coming towards each other",
    "coming together",
    "meeting in the middle",
    "heading for each other",
    "sliding towards each other",
)
"""The first stands left of the second and moves right, the second moves left."""


def _moving(w: Wanted, rng: Rng) -> str:
    """`slowly going left`, with its speed where one is asked for."""
    assert w.motion is not None, "asked of what moves"
    words = doing(w.motion, rng)
    if w.speed is None:
        return words
    toss = rng.random()
    if toss < 0.25:
        return f"{word(rng, HASTE[w.speed])} {word(rng, WAYS[w.motion])}"
    if toss < 0.45:
        return f"{word(rng, ADVERBS[w.speed])} {words}"
    if toss < 0.6:
        first, _, rest = words.partition(" ")
        return f"{first} {word(rng, ADVERBS[w.speed])} {rest}".strip()
    return f"{words}{word(rng, (' ', ' ', ', '))}{word(rng, SPEED_WORDS[w.speed])}"


def _verb(w: Wanted, rng: Rng, finite: bool) -> str:
    """`move left slowly`, or `slowly moves left`."""
    assert w.motion is not None, "asked of what moves"
    verb = word(rng, VERBS[w.motion])
    verb = third(verb) if finite else verb
    if w.speed is None:
        return verb
    if rng.random() < 0.35:
        return f"{word(rng, ADVERBS[w.speed])} {verb}"
    return f"{verb} {word(rng, SPEED_WORDS[w.speed])}"


def _resting(w: Wanted, rng: Rng) -> str:
    """The object without its motion: `a small red star`, `a red star that is small`, `a star, red`."""
    plain = replace(w, motion=None, speed=None)
    if w.color is None or rng.random() < 0.75:
        return phrase(plain, rng)
    color = word(rng, COLOR_WORDS[w.color])
    if w.size is None:
        return f"{article(word(rng, SHAPE_WORDS[w.shape]))} {word(rng, ('in', 'that is', 'colored'))} {color}"
    size = word(rng, SIZE_WORDS[w.size])
    toss = rng.random()
    if toss < 0.3:
        return f"{article(f'{color} {size} ' + word(rng, SHAPE_WORDS[w.shape]))}"
    if toss < 0.6:
        return f"{article(noun(w, rng))} {word(rng, ('that is', 'which is'))} {size}"
    return f"{article(f'{size} ' + word(rng, SHAPE_WORDS[w.shape]))} in {color}"


def _leading(w: Wanted, rng: Rng) -> str | None:
    """The object with its motion before it, if that can be: `a bouncing red ball`."""
    if w.motion is None:
        return _resting(w, rng)
    if w.motion not in BEFORE:
        return None
    words = [word(rng, BEFORE[w.motion])]
    if w.speed is not None:
        words[0] = f"{word(rng, ('slowly',) if w.speed == 'slow' else ('quickly', 'fast'))} {words[0]}"
    if w.size is not None:
        words.insert(int(rng.random() < 0.5), word(rng, SIZE_WORDS[w.size]))
    return article(" ".join([*words, noun(w, rng)]))


def _traits(w: Wanted, rng: Rng) -> list[str]:
    """What is said of an object beside its shape, in any order."""
    said = [] if w.color is None else [word(rng, COLOR_WORDS[w.color])]
    if w.size is not None:
        said.append(word(rng, SIZE_WORDS[w.size]))
    if w.motion is not None:
        said.append(_moving(w, rng))
    return [said[int(i)] for i in rng.permutation(len(said))]


def _predicated(w: Wanted, rng: Rng, alone: bool) -> str:
    """`a star that is red and small and going left`."""
    said = _traits(w, rng)
    name = article(word(rng, SHAPE_WORDS[w.shape]))
    if not said or any(t.startswith("that ") for t in said):
        return phrase(w, rng)
    toss = rng.random()
    if toss < 0.4:
        return f"{name} {word(rng, ('that is', 'which is', 'that is', 'thats'))} {listing(said)}"
    if toss < 0.7 and alone:
        return f"{name}, {', '.join(said)}"
    return f"{name} {word(rng, ('that is', 'which is'))} {' and '.join(said)}"


def named(w: Wanted, rng: Rng, alone: bool = False) -> str:
    """An object with all that is asked of it, in one of many orders.

    `alone`: no other object stands beside it, so that commas cannot be misread.
    """
    toss = rng.random()
    if toss < 0.25 and (text := _leading(w, rng)):
        return text
    if toss < 0.45:
        return _predicated(w, rng, alone)
    if toss < 0.6 and w.speed is not None and w.motion is not None:
        size = "" if w.size is None else word(rng, SIZE_WORDS[w.size]) + " "
        paced = article(f"{word(rng, PACED[w.speed])} {size}{noun(w, rng)}")
        return f"{paced} {doing(w.motion, rng)}"
    if w.motion is not None and toss < 0.8:
        joined = word(rng, (" ", " ", ", " if alone else " ", " that is ", " which is ", " that's "))
        return f"{_resting(w, rng)}{joined}{_moving(w, rng)}"
    return phrase(w, rng)


def _fields(request: Request, rng: Rng) -> str | None:
    """`red star, small, left, white background`."""
    if len(request.things) > 1:
        return None
    w = request.things[0]
    color = "" if w.color is None else word(rng, COLOR_WORDS[w.color])
    shape = word(rng, SHAPE_WORDS[w.shape])
    head, rest = (f"{color} {shape}".strip(), []) if rng.random() < 0.6 else (shape, [color] if color else [])
    if w.size is not None:
        rest.append(word(rng, SIZE_WORDS[w.size]))
    if w.motion is not None:
        moves = _moving(w, rng)
        rest.append(w.motion if w.motion in WAYS and w.speed is None and rng.random() < 0.15 else moves)
    if request.background is not None:
        x = word(rng, BACKGROUND_WORDS[request.background])
        rest.append(
            word(rng, (f"{x} background", f"{x} background", f"on {x}", f"background {x}", f"{x} backdrop"))
        )
    rest = [rest[int(i)] for i in rng.permutation(len(rest))]
    said = [head, *rest] if rng.random() < 0.75 else [*rest, head]
    if said[0] is head and rest and rng.random() < 0.15:
        return f"{head}: {', '.join(rest)}"
    return word(rng, (", ", ", ", ", ", ". ", "; ", " ")).join(said)


def _two_steps(request: Request, rng: Rng, part: Part) -> str | None:
    """`a red star. It moves left`, or `let a red star move left`."""
    w = request.things[0]
    if len(request.things) > 1 or w.motion is None:
        return None
    n = _resting(w, rng)
    if rng.random() < 0.5:
        return pick(rng, LET, part).format(n=n, do=_verb(w, rng, False))
    return pick(rng, IT_DOES, part).format(n=n, does=_verb(w, rng, True), doing=_moving(w, rng))


def _sentences(request: Request, rng: Rng, part: Part) -> str | None:
    """`a video where a red ball bounces and a blue box spins`."""
    if any(w.motion is None for w in request.things):
        return None
    said = [f"{_resting(w, rng)} {_verb(w, rng, True)}" for w in request.things]
    joined = listing(said) if rng.random() < 0.7 else word(rng, (" while ", ", and ", ", ")).join(said)
    return pick(rng, CLAUSE, part).format(p=joined)


def beside(request: Request, rng: Rng, part: Part) -> str | None:
    """Two objects and how they relate in one phrase: `a star with a ring below it`."""
    if request.relation is None:
        return None
    a, b = request.things[:2]
    if request.relation in BESIDE and rng.random() < 0.6:
        bare = [_leading(w, rng) for w in (a, b)]
        template = pick(rng, BESIDE[request.relation], part)
        first = 0 if template.startswith("{a}") else 1
        if (name := bare[first]) is not None and ", " not in name:
            names = [name, named(b, rng)] if first == 0 else [named(a, rng), name]
            return template.format(a=names[0], b=names[1])
    template = pick(rng, AND_BESIDE[request.relation], part)
    return template.format(a=phrase(a, rng), b=phrase(b, rng))


def _several(request: Request, rng: Rng, part: Part) -> str | None:
    """`two objects: a pink square and a yellow triangle`."""
    if len(request.things) < 2:
        return None
    things = [phrase(w, rng) if rng.random() < 0.5 else named(w, rng) for w in request.things]
    joined = (
        listing(things)
        if rng.random() < 0.6
        else word(rng, (", ", "; ", " and ", ", plus ", " plus ")).join(things)
    )
    if rng.random() < 0.5:
        return joined
    return pick(rng, COUNTED_OUT, part).format(n={2: "two", 3: "three"}[len(things)], p=joined)


def of_a_shape(request: Request, rng: Rng, part: Part) -> str | None:
    """`two circles, one red and one blue, both moving up`: two that differ in color alone, or meet."""
    if len(request.things) != 2 or request.relation not in (None, "left_of"):
        return None
    a, b = request.things
    alike = request.relation is None and replace(a, color=b.color) == b
    meet = (
        request.relation is not None and a.motion == "right" and replace(a, color=b.color, motion="left") == b
    )
    if a.color is None or b.color is None or a.shape != b.shape or not (alike or meet):
        return None
    name = noun(Wanted(a.shape), rng)
    plural = name + ("es" if name.endswith(("s", "x")) else "s")
    size = f"{word(rng, SIZE_WORDS[a.size])} " if a.size else ""
    colors = {k: word(rng, COLOR_WORDS[w.color]) for k, w in (("a", a), ("b", b)) if w.color}
    text = pick(rng, OF_A_SHAPE, part).format(z=size, s=plural, one=name, **colors)
    text = re.sub(r"\ba (?=orange|aqua)", "an ", text)
    how = "" if a.speed is None else f" {word(rng, SPEED_WORDS[a.speed])}"
    if meet:
        return f"{text}, {pick(rng, TOWARDS, part)}{how}"
    if a.motion is None:
        return text
    return f"{text}, {word(rng, ('both ', 'both ', ''))}{doing(a.motion, rng)}{how}"


def _related(request: Request, text: str, rng: Rng, part: Part) -> str:
    """With how the first two objects relate said behind it."""
    if request.relation is None:
        return text
    a, b = request.things[:2]
    text = text.rstrip("?.")
    return text + pick(rng, RELATIONS[request.relation], part).format(a=noun(a, rng), b=noun(b, rng))


def backed(request: Request, text: str, rng: Rng, part: Part) -> str:
    """With the background said behind it."""
    if request.background is None:
        return text
    asked = text.endswith("?")
    x = word(rng, BACKGROUND_WORDS[request.background])
    return (
        text.rstrip("?.")
        + pick(rng, BACKED, part).format(x=x)
        + ("?" if asked and rng.random() < 0.5 else "")
    )


def phrased(request: Request, rng: Rng, part: Part) -> str:
    """The objects and what relates them as a noun phrase: what stands after "draw"."""
    if request.relation is not None and rng.random() < 0.8 and (text := beside(request, rng, part)):
        return text
    return _related(
        request, listing([named(w, rng, len(request.things) == 1) for w in request.things]), rng, part
    )


def whole(request: Request, rng: Rng, part: Part) -> str | None:
    """A wish that needs no "draw" before it; None where the form that came up does not fit."""
    toss = rng.random()
    if toss < 0.2:
        return _fields(request, rng)
    if toss < 0.35 and request.background is not None:
        x = word(rng, BACKGROUND_WORDS[request.background])
        return pick(rng, BACKED_FIRST, part).format(x=x, p=phrased(request, rng, part))
    ways: tuple[Callable[[], str | None], ...] = (
        lambda: _two_steps(request, rng, part),
        lambda: _sentences(request, rng, part),
        lambda: _several(request, rng, part),
    )
    start = int(rng.integers(3))
    for k in range(3):
        text = ways[(start + k) % 3]()
        if text is not None:
            return backed(request, _related(request, text, rng, part), rng, part)
    return None
