"""Turns that lean on what was said before: `Are you sure?`, `And the other one?`, `And this one?`

leaning(t)                      a conversation of such turns, about one video or two
lean(t, scene, asked)           one more question after `asked`, about its answer
other_one(t, scene, videos)     a question about one of two objects, then about the other one
this_one(t, kind)               another video, asked what the one before was asked
which_video(t), of_nth(t, n)    which of two videos is so, and what the first or the second one is; either:
which_or_nth(t)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpt4video.shapes.language import asking
from gpt4video.shapes.language.answers import any_thing, choice, sentence
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


def _sure(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA:
    """Every answer here is meant: yes, and the answer again."""
    answer = asked.answer.removeprefix("Yes, ").removeprefix("No, ")
    question = asking.casual(rng, pick(rng, asking.SURE, part))
    key = Key("yesno", ("yes",))
    if asked.kind not in ("yesno", "event"):
        key = Key("double", (), parts=(key, asked.key))
    return QA("leaning", question, f"Yes, {answer[:1].lower()}{answer[1:]}", key)


def _said(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA:
    return replace(asked, kind="leaning", question=asking.casual(rng, pick(rng, asking.SAID, part)))


def _so_what(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA | None:
    """After `No, it is a square.` about the one object."""
    thing = scene.things[0]
    known = f"is {article(thing.shape)}." in asked.answer or f"is {thing.color}." in asked.answer
    single = len(scene.things) == 1 and thing.event != "recolors"
    if not (single and known and asked.kind == "yesno" and asked.answer.startswith("No, ")):
        return None
    name = noun(wanted(thing))
    question = asking.casual(rng, pick(rng, asking.SO_WHAT, part))
    return QA("leaning", question, f"It is {article(name)}.", Key("objects", (name,)))


def _else(scene: Scene, asked: QA, rng: Rng, part: Part) -> QA | None:
    """After a question about the one object, or about one of two whose answer tells nothing of the other."""
    if asked.kind not in OF_ONE or scene.event:
        return None
    others = [t for t in scene.things if t.shape not in asked.answer and t.color not in asked.answer]
    if len(scene.things) == 1:
        others = []
    elif len(scene.things) != 2 or len(others) != 1:
        return None
    name = article(noun(wanted(others[0]))) if others else ""
    more, all_of_it = f"there is also {name}.", "there is only one object."
    toss = rng.random()
    if toss < 0.3:
        answer = sentence(more[:-1]) if others else f"Nothing else: {all_of_it}"
        key = Key("objects", (name.partition(" ")[2],)) if others else Key("nothing", ())
        return QA("leaning", asking.casual(rng, pick(rng, asking.WHAT_ELSE, part)), answer, key)
    table, yes = (asking.ANYTHING_ELSE, bool(others)) if toss < 0.7 else (asking.THAT_ALL, not others)
    answer = f"{'Yes' if yes else 'No'}, {more if others else all_of_it}"
    question = asking.casual(rng, pick(rng, table, part))
    return QA("leaning", question, answer, Key("yesno", ("yes" if yes else "no",)))


LEANS: tuple[tuple[float, Callable[[Scene, QA, Rng, Part], QA | None]], ...] = (
    (0.4, _so_what),
    (0.2, _sure),
    (0.28, _else),
    (0.12, _said),
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


def _about_one(t: Talk) -> None:
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


def alone(scene: Scene) -> bool:
    """Whether a video shows one object to which nothing happens."""
    return len(scene.things) == 1 and scene.event is None


WHOLE = {"describe": describe, "background": background, "count": count}
"""Questions that can be asked of any scene in the same words."""


def ask_whole(t: Talk, videos: tuple[int, ...], kind: str) -> None:
    """Such a question about a video that is posted with it."""
    t.asks(_whole(t, t.scenes[videos[0]], kind), videos)


def _whole(t: Talk, scene: Scene, kind: str) -> QA:
    qa = WHOLE[kind](scene, t.rng, t.part) if kind in WHOLE else OF_ONE[kind](scene, t.rng, t.part, 0, None)
    assert qa is not None, "every scene has the first, and a scene of one object those that were chosen"
    return qa


def this_one(t: Talk, kind: str, videos: tuple[int, ...] = ()) -> None:
    """Another video and only `And this one?`, where a question of this kind was asked before."""
    videos = videos or t.posts()
    question = t.casual(pick(t.rng, asking.THIS_ONE, t.part))
    t.asks(replace(_whole(t, t.scenes[videos[0]], kind), kind="leaning", question=question), videos)


def _same_of_two(t: Talk) -> None:
    """A question about a video, then another video and only `And this one?`"""
    a, b = t.posts(), t.posts()
    one, two = t.scenes[-2:]
    kinds = [*WHOLE]
    if alone(one) and alone(two):
        here, there = one.things[0], two.things[0]
        kinds += ["color", "color", "shape", "shape", "motion", "motion"]
        kinds += ["size"] * (here.sized and there.sized) + ["speed"] * (here.travels and there.travels)
    kind = choice(t.rng, kinds)
    ask_whole(t, a, kind)
    this_one(t, kind, b)


def _ask_each(t: Talk, posted: tuple[tuple[int, ...], ...]) -> None:
    """A question with each video; `Which one is red?` would ask for one of them."""
    for videos in posted:
        while True:
            asked = sample_question(t.scenes[videos[0]], t.rng, t.part)
            assert asked is not None, "every scene has a background to ask for"
            if not {"which", "one"} & {*asked.question.lower().replace("?", "").split()}:
                break
        t.asks(asked, videos)


def which_video(t: Talk) -> bool:
    """`Which one is red?`, of the last two videos, where they differ in that."""
    one, two = t.scenes[-2:]
    traits = ["background"] * (one.background != two.background)
    if alone(one) and alone(two):
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
    t.asks(QA("leaning", t.casual(question.format(x=x)), answer, Key("video", (ORDINALS[n],))))
    return True


OF_VIDEO = (
    "the {n} one",
    "the {n} one",
    "the {n} object",
    "the object in the {n} video",
    "the object in the {n} clip",
)


def of_nth(t: Talk, n: int, scene: Scene | None = None) -> QA | None:
    """`What color is the first one?`, of a video with one object; `scene` stands in for one that has none."""
    scene = scene or t.scenes[-2:][n]
    if not alone(scene):
        return None
    family = choice(t.rng, list(OF_ONE))
    said = "it" if family == "shape" else f"the {scene.things[0].shape}"
    named = Named(word(t.rng, OF_VIDEO).format(n=ORDINALS[n]), said)
    qa = OF_ONE[family](scene, t.rng, t.part, 0, named)
    if qa is None:
        return None
    question = asking.unled(qa.question)
    return replace(qa, kind="leaning", question=t.casual(question[:1].upper() + question[1:]))


def which_or_nth(t: Talk) -> bool:
    """`Which one is red?` or `What color is the first one?`; False where what came up does not fit."""
    if t.chance(0.5):
        return which_video(t)
    qa = of_nth(t, int(t.rng.integers(2)))
    if qa is not None:
        t.asks(qa)
    return qa is not None


def _about_two(t: Talk) -> None:
    """Two videos, the second of them often with `And this one?`, then which of them is what."""
    if t.chance(0.6):
        _same_of_two(t)
    else:
        _ask_each(t, (t.posts(), t.posts()))
    for _ in range(int(t.rng.integers(3))):
        which_or_nth(t)


def both_in_one(t: Talk) -> Request | None:
    """What two videos of one object each show, in one: on the first one's background."""
    requests = [full_request(canonical(scene)) for scene in t.scenes[-2:]]
    if any(len(request.things) != 1 for request in requests):
        return None
    together = replace(requests[0], things=tuple(request.things[0] for request in requests))
    return together if allowed(together, t.part) else None


def redraw_two(t: Talk) -> None:
    """Two posted videos; both are to be drawn in one, or one of them again, at times changed."""
    _ask_each(t, (t.posts(POSTED_TO_COPY), t.posts(POSTED_TO_COPY)))
    together = both_in_one(t)
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
        _about_one(t)
    elif toss < 0.8:
        _about_two(t)
    else:
        redraw_two(t)
