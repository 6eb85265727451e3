"""A request for a video in words.

ask_for(request, rng, part)     "Can you draw me a red disc going left?"
rephrase(request, rng, part)    "a red disc going left"
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpt4video.shapes.language.asking import casual
from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    RELATIONS,
    SPEED_WORDS,
    Request,
    Wanted,
    listing,
    noun,
    paraphrase,
    phrase,
    pick,
    word,
)
from gpt4video.shapes.language.loose import backed, of_a_shape, phrased, whole
from gpt4video.shapes.language.refer import VERBS, doing, third
from gpt4video.shapes.language.wishes import DRAW, DRAW_VIDEO
from gpt4video.shapes.world import Part, observable, part_of

Rng = np.random.Generator


def allowed(request: Request, part: Part) -> bool:
    """Whether the request can be drawn, names everything apart, and keeps to `part`.

    Training never sees a held-out triple; a held-out part sees its own and those of training.
    """
    colors = [w.color for w in request.things]
    if len(colors) > 1 and (None in colors or len(set(colors)) < len(colors)):
        return False
    for w in request.things:
        if w.motion and not observable(w.shape, w.motion):
            return False
        if w.color and w.motion and part_of(w.color, w.shape, w.motion) not in (part, "training"):
            return False
    return True


def rephrase(request: Request, rng: Rng, part: Part) -> str:
    """The request as people might put it: as a caption, with clauses, or in as few words as possible."""
    way = rng.random()
    if way < 0.65:
        return paraphrase(request, rng, part)
    alike = {(w.motion, w.speed) for w in request.things}
    if len(request.things) > 1 and len(alike) == 1 and request.things[0].motion and way < 0.8:
        text = _alike(request, rng)
    elif way < 0.85:
        text = listing([_clause(w, rng) for w in request.things])
    else:
        things = [_brief(w, rng) for w in request.things]
        text = listing(things) if rng.random() < 0.5 else ", ".join(things)
    if request.background is not None:
        background = word(rng, BACKGROUND_WORDS[request.background])
        if way < 0.85:
            text += word(rng, (f" on a {background} background", f", with a {background} background"))
        else:
            text += word(
                rng, (f", {background} background", f" {background} background", f" on {background}")
            )
    if request.relation is not None:
        a, b = request.things[:2]
        text += pick(rng, RELATIONS[request.relation], part).format(a=noun(a, rng), b=noun(b, rng))
    return text


def _alike(request: Request, rng: Rng) -> str:
    """`a red circle and a blue square, both moving left`."""
    first = request.things[0]
    assert first.motion is not None, "they move alike"
    things = [phrase(replace(w, motion=None, speed=None), rng) for w in request.things]
    speed = f" {word(rng, SPEED_WORDS[first.speed])}" if first.speed else ""
    both = "both" if len(things) == 2 else "all"
    return f"{listing(things)}, {both} {doing(first.motion, rng)}{speed}"


def _clause(w: Wanted, rng: Rng) -> str:
    """`a disc that moves left slowly`."""
    text = phrase(replace(w, motion=None, speed=None), rng)
    if w.color is not None and rng.random() < 0.15:
        text = f"{phrase(Wanted(w.shape, size=w.size), rng)} in {word(rng, COLOR_WORDS[w.color])}"
    elif w.shape == "circle" and rng.random() < 0.15:  # what has no shape is a circle
        bare = phrase(replace(w, shape="star", motion=None, speed=None), rng)
        text = bare.removesuffix("star") + word(rng, ("object", "thing", "shape"))
    if w.motion is not None and rng.random() < 0.3:
        speed = f" {word(rng, SPEED_WORDS[w.speed])}" if w.speed else ""
        return f"{text} {doing(w.motion, rng)}{speed}"
    if w.motion is None:
        return text
    speed = f" {word(rng, SPEED_WORDS[w.speed])}" if w.speed else ""
    return f"{text} {word(rng, ('that', 'which', 'that'))} {third(word(rng, VERBS[w.motion]))}{speed}"


def _brief(w: Wanted, rng: Rng) -> str:
    """`small red circle moving left`."""
    return phrase(w, rng).partition(" ")[2]


FLOORS = {form.split()[0] for forms in BACKGROUND_WORDS.values() for form in forms}
"""First words of a wish that begins with its background: `black background, a star`."""


def ask_for(request: Request, rng: Rng, part: Part) -> str:
    """A request for a video, typed as people type."""
    if rng.random() < 0.7 and (text := of_a_shape(request, rng, part)):
        template = pick(rng, ("{p}", *DRAW), part)
        text = backed(request, template.format(p=text), rng, part)
        return casual(rng, text[:1].upper() + text[1:])
    toss = rng.random()
    if toss < 0.24 and (text := whole(request, rng, part)):
        return casual(rng, text[:1].upper() + text[1:])
    if toss < 0.42:
        template = pick(rng, DRAW if rng.random() < 0.6 else DRAW_VIDEO, part)
        text = backed(request, template.format(p=phrased(request, rng, part)), rng, part)
        return casual(rng, text[:1].upper() + text[1:])
    words = rephrase(request, rng, part)
    first = words.split(" ", 1)[0]
    if first in ("one", "over", "on", *FLOORS) or " background with " in words[:30]:
        template = word(rng, ("{p}", "Draw this: {p}.", "Draw the following: {p}."))
    elif "video" in words or "clip" in words or "animation" in words or "scene" in words:
        template = pick(rng, DRAW, part)
    else:
        template = pick(rng, DRAW if rng.random() < 0.6 else DRAW_VIDEO, part)
    text = template.format(p=words)
    return casual(rng, text[:1].upper() + text[1:])
