"""Turns that lean on what was said before: `Are you sure?`, `And the other one?`, `And this one?`

lean(t, scene, asked)    one more question after `asked`, about the same video
leaning(t)               a conversation of such turns, about one video or two
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpt4video.shapes.language import asking
from gpt4video.shapes.language.answers import any_thing, choice
from gpt4video.shapes.language.asking import put
from gpt4video.shapes.language.changes import change
from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    SHAPE_WORDS,
    Request,
    article,
    full_request,
    noun,
    pick,
    wanted,
    word,
)
from gpt4video.shapes.language.judge import QA, Key
from gpt4video.shapes.language.questions import OF_ONE, background, count, describe, sample_question
from gpt4video.shapes.language.refer import Named, canonical, doing
from gpt4video.shapes.language.requests import allowed
from gpt4video.shapes.language.turns import POSTED_TO_COPY, Talk
from gpt4video.shapes.language.wordings import BOTH, NTH
from gpt4video.shapes.world import Part, Scene

Rng = np.random.Generator
ORDINALS = ("first", "second")


def _sure(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA | None:
    """Every answer here is meant: yes, and the answer again."""
    answer = asked.answer.removeprefix("Yes, ").removeprefix("No, ")
    question = asking.casual(rng, pick(rng, asking.SURE, part))
    return QA("leaning", question, f"Yes, {answer[:1].lower()}{answer[1:]}", Key("yesno", ("yes",)))


def _said(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA | None:
    return replace(asked, kind="leaning", question=asking.casual(rng, pick(rng, asking.SAID, part)))


def _so_what(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA | None:
    """After `No, it is a square.` about the one object."""
    thing = scene.things[0]
    known = f"is {article(thing.shape)}." in asked.answer or f"is {thing.color}." in asked.answer
    alone = len(scene.things) == 1 and thing.event != "recolors"
    if not (alone and known and asked.kind == "yesno" and asked.answer.startswith("No, ")):
        return None
    name = noun(wanted(thing))
    question = asking.casual(rng, pick(rng, asking.SO_WHAT, part))
    return QA("leaning", question, f"It is {article(name)}.", Key("objects", (name,)))


def _else(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA | None:
    """After a question about the one object, or about one of two that is named in the answer."""
    if asked.kind not in OF_ONE or scene.event:
        return None
    question = asking.casual(rng, pick(rng, asking.ELSE, part))
    if len(scene.things) == 1:
        return QA("leaning", question, "No, there is only one object.", Key("yesno", ("no",)))
    unnamed = [t for t in scene.things if t.shape not in asked.answer and t.color not in asked.answer]
    if len(scene.things) != 2 or len(unnamed) != 1:
        return None
    name = article(noun(wanted(unnamed[0])))
    return QA("leaning", question, f"Yes, there is also {name}.", Key("yesno", ("yes",)))


LEANS: tuple[tuple[float, Callable[[Scene, QA, Rng, Part], QA | None]], ...] = (
    (0.35, _so_what),
    (0.3, _sure),
    (0.2, _else),
    (0.15, _said),
)
"""Questions about the answer before, and how often each is tried first."""


def lean(t: Talk, scene: Scene, asked: QA) -> None:
    """One more question about the answer to `asked`."""
    shares = [share for share, _ in LEANS]
    for k in t.rng.choice(len(LEANS), len(LEANS), replace=False, p=shares):
        if qa := LEANS[int(k)][1](scene, asked, t.rng, t.part):
            t.asks(qa)
            return
    raise AssertionError("every answer can be said again")


def other_one(t: Talk, scene: Scene, videos: tuple[int, ...]) -> bool:
    """A question about one of two objects, then the same, or another, about the other one."""
    if len(scene.things) != 2:
        return False
    index, family = any_thing(scene, t.rng), choice(t.rng, list(OF_ONE))
    first = OF_ONE[family](scene, t.rng, t.part, index, None)
    name = word(t.rng, asking.THE_OTHER)
    same = t.chance(0.6)
    second = OF_ONE[family if same else choice(t.rng, list(OF_ONE))](
        scene, t.rng, t.part, 1 - index, Named(name, "the other object")
    )
    if first is None or second is None:
        return False
    if same and t.chance(0.7):
        second = replace(second, question=t.casual(pick(t.rng, asking.OTHER, t.part)))
    t.asks(first, videos)
    t.asks(replace(second, kind="leaning"))
    return True


def _one(t: Talk) -> None:
    """One video; every second question leans on the one before."""
    videos = t.posts()
    scene = t.scenes[-1]
    for _ in range(1 + int(t.chance(0.3))):
        if len(scene.things) == 2 and t.chance(0.6) and other_one(t, scene, videos):
            videos = ()
            continue
        kind = "yesno" if t.chance(0.4) else None
        asked = sample_question(scene, t.rng, t.part, kind)
        assert asked is not None, "every scene has a background to ask for"
        t.asks(asked, videos)
        videos = ()
        lean(t, scene, asked)


def _alone(scene: Scene) -> bool:
    return len(scene.things) == 1 and scene.event is None


WHOLE = ("describe", "background", "count")
"""Kinds of questions that can be asked of any scene in the same words."""


def ask_whole(t: Talk, videos: tuple[int, ...], kind: str, question: str = "") -> None:
    """A question of such a kind about a video that is posted with it, in other words where there are any."""
    scene = t.scenes[videos[0]]
    if kind in OF_ONE:
        qa = OF_ONE[kind](scene, t.rng, t.part, 0, None)
    else:
        qa = {"describe": describe, "background": background, "count": count}[kind](scene, t.rng, t.part)
    assert qa is not None, "every scene has these, and a scene of one object the others that were chosen"
    t.asks(replace(qa, kind="leaning", question=question) if question else qa, videos)


def ask_this_one(t: Talk, kind: str) -> None:
    """Another video and only `And this one?`"""
    ask_whole(t, t.posts(), kind, t.casual(pick(t.rng, asking.THIS_ONE, t.part)))


def this_one(t: Talk) -> None:
    """A question about a video, then another video and only `And this one?`"""
    a, b = t.posts(), t.posts()
    one, two = t.scenes[-2:]
    kinds = [*WHOLE]
    if _alone(one) and _alone(two):
        here, there = one.things[0], two.things[0]
        kinds += ["color", "color", "shape", "shape", "motion", "motion"]
        kinds += ["size"] * (here.sized and there.sized) + ["speed"] * (here.travels and there.travels)
    kind = choice(t.rng, kinds)
    ask_whole(t, a, kind)
    ask_whole(t, b, kind, t.casual(pick(t.rng, asking.THIS_ONE, t.part)))


def which_video(t: Talk) -> bool:
    """`Which one is red?`, of the last two videos, where they differ in that."""
    one, two = t.scenes[-2:]
    traits = ["background"] * (one.background != two.background)
    if _alone(one) and _alone(two):
        a, b = one.things[0], two.things[0]
        traits += [k for k in ("color", "shape", "motion") if getattr(a, k) != getattr(b, k)]
    if not traits:
        return False
    trait, n = choice(t.rng, traits), int(t.rng.integers(2))
    if trait == "background":
        value = (one, two)[n].background
        x, truth = word(t.rng, BACKGROUND_WORDS[value]), f"has a {value} background"
        question = pick(t.rng, asking.WHICH_BACKGROUND, t.part)
    else:
        value = str(getattr((one, two)[n].things[0], trait))
        question = pick(t.rng, asking.WHICH_VIDEO, t.part)
        if trait == "shape":
            x, truth = article(word(t.rng, SHAPE_WORDS[value])), f"is {article(value)}"
        elif trait == "motion":
            x, truth = doing(value, t.rng), f"is {doing(value)}"
        else:
            x, truth = word(t.rng, COLOR_WORDS[value]), f"is {value}"
    answer = f"The {ORDINALS[n]} one {truth}."
    t.asks(QA("leaning", put(t.rng, question, x=x), answer, Key("video", (ORDINALS[n],))))
    return True


def of_one(t: Talk, n: int) -> QA | None:
    """`What color is the first one?`, of a video with one object."""
    scene = t.scenes[-2:][n]
    if not _alone(scene):
        return None
    family = choice(t.rng, list(OF_ONE))
    said = "it" if family == "shape" else f"the {scene.things[0].shape}"
    what = word(t.rng, ("one", "one", "video", "object", "clip"))
    what = (
        f"the object in the {ORDINALS[n]} {what}"
        if what in ("video", "clip")
        else f"the {ORDINALS[n]} {what}"
    )
    qa = OF_ONE[family](scene, t.rng, t.part, 0, Named(what, said))
    return None if qa is None else replace(qa, kind="leaning")


def _two(t: Talk) -> None:
    """Two videos, the second of them often with `And this one?`, then which of them is what."""
    if t.chance(0.6):
        this_one(t)
    else:
        a, b = t.posts(), t.posts()
        for scene, videos in zip(t.scenes[:2], (a, b), strict=True):
            asked = sample_question(scene, t.rng, t.part)
            assert asked is not None, "every scene has a background to ask for"
            t.asks(asked, videos)
    for _ in range(int(t.rng.integers(3))):
        if t.chance(0.5) and which_video(t):
            continue
        if qa := of_one(t, int(t.rng.integers(2))):
            t.asks(qa)


def both(t: Talk) -> Request | None:
    """What two videos of one object each show, in one: on the first one's background."""
    requests = [full_request(canonical(scene)) for scene in t.scenes[-2:]]
    if any(len(request.things) != 1 for request in requests):
        return None
    together = replace(requests[0], things=tuple(request.things[0] for request in requests))
    return together if allowed(together, t.part) else None


def redraw_two(t: Talk) -> None:
    """Two posted videos; both are to be drawn in one, or one of them again, at times changed."""
    a, b = t.posts(POSTED_TO_COPY), t.posts(POSTED_TO_COPY)
    asked = [sample_question(scene, t.rng, t.part) for scene in t.scenes[:2]]
    for qa, videos in zip(asked, (a, b), strict=True):
        assert qa is not None, "every scene has a background to ask for"
        t.asks(qa, videos)
    together = both(t)
    if together is not None and t.chance(0.75):
        t.says(t.casual(pick(t.rng, BOTH, t.part)))
        t.draws(together)
        return
    n = int(t.rng.integers(2))
    request = full_request(canonical(t.scenes[n]))
    text = pick(t.rng, NTH, t.part).format(n=ORDINALS[n])
    if t.chance(0.3):
        text = f"{text.rstrip('.?')}. "
        more, request = change(request, t.rng, t.part)
        text += more[:1].upper() + more[1:]
    t.says(t.casual(text))
    t.draws(request)


def leaning(t: Talk) -> None:
    """A conversation whose turns lean on each other."""
    toss = t.rng.random()
    if toss < 0.45:
        _one(t)
    elif toss < 0.8:
        _two(t)
    else:
        redraw_two(t)
