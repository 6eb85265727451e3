"""Conversations about drawings: wishes, and what is then to be changed, of a drawn or of a posted video."""

from __future__ import annotations

from dataclasses import replace

from gpt4video.shapes.language import limits
from gpt4video.shapes.language.answers import sentence
from gpt4video.shapes.language.changes import change, order_for, remove
from gpt4video.shapes.language.describe import (
    SHAPE_WORDS,
    Request,
    Wanted,
    full_request,
    pick,
    prompt,
    request_of,
    word,
)
from gpt4video.shapes.language.judge import QA, Key
from gpt4video.shapes.language.refer import canonical, doing
from gpt4video.shapes.language.requests import allowed, ask_for
from gpt4video.shapes.language.turns import POSTED_TO_COPY, Talk, chat
from gpt4video.shapes.language.viewing import ask_some
from gpt4video.shapes.language.wishes import SURPRISE
from gpt4video.shapes.language.wordings import AGAIN, DO, KILL, RECREATE, REMOVE_DO, UNDO
from gpt4video.shapes.world import DRAWN, SHAPES, sample_scene


def _barer(t: Talk, request: Request) -> Request:
    """Without motions, as people often leave them open: `a red star`."""
    things = tuple(replace(w, motion=None, speed=None) for w in request.things)
    return replace(request, things=things, background=request.background if t.chance(0.5) else None)


def wish(t: Talk) -> Request:
    while True:
        request = request_of(sample_scene(t.rng, t.part, DRAWN), t.rng)
        if request.relation != "passes" and t.chance(0.12):
            request = _barer(t, request)
        if len(request.things) == 2 and request.relation is None and t.chance(0.35):
            request = _paired(t, request)
        if allowed(request, t.part):
            return request


def _paired(t: Talk, request: Request) -> Request:
    """Two of one shape, which differ in color alone or move towards each other."""
    a, b = request.things
    b = replace(a, color=b.color)
    if t.chance(0.4):
        a, b = replace(a, motion="right"), replace(b, motion="left")
        return replace(request, things=(a, b), relation="left_of")  # without it they would pass
    return replace(request, things=(a, b))


SURPRISED = Request((Wanted("star", "red", None, "bouncing"),), "navy")
"""What is drawn where anything will do."""


def draw_one(t: Talk) -> Request:
    """One drawing."""
    if t.chance(0.03):
        t.says(t.casual(pick(t.rng, SURPRISE, t.part)))
        t.draws(SURPRISED)
        return SURPRISED
    request = wish(t)
    t.says(ask_for(request, t.rng, t.part))
    t.draws(request)
    return request


def draw_some(t: Talk) -> None:
    for _ in range(int(t.rng.choice([1, 2, 3], p=[0.75, 0.17, 0.08]))):
        draw_one(t)


def _edits(t: Talk, request: Request, number: int, posted: bool) -> Request:
    undone: Request | None = None  # what an undoing brings back
    for step in range(number):
        newest = request
        if undone is not None and undone != request and t.chance(0.12):
            text, request = t.casual(pick(t.rng, UNDO, t.part)), undone
        elif t.chance(0.07):
            text = t.casual(pick(t.rng, RECREATE if posted and step == 0 else AGAIN, t.part))
        elif len(request.things) > 1 and t.chance(0.06):
            gone = remove(request, t.rng, t.part, KILL)
            assert gone is not None, "one of several can go"
            text, request = t.casual(pick(t.rng, DO, t.part).format(x=gone.do).capitalize()), gone.request
        else:
            text, request = change(request, t.rng, t.part, posted and step == 0)
        t.says(text)
        t.draws(request)
        undone = None if request == undone else newest
        if t.chance(0.15):
            ask_drawn(t, request)
        elif t.chance(0.06):
            chat(t, ("thanks", "praise"))
        elif t.chance(0.04):
            question, reply = limits.impossible_edit(t.rng, t.part, len(request.things))
            t.says(t.casual(question))
            t.replies(reply, "decline")
        elif t.chance(0.04):
            _edit_absent(t, request)
    return request


def _edit_absent(t: Talk, request: Request) -> None:
    """A change to an object that is not there."""
    missing = [s for s in SHAPES if all(w.shape != s for w in request.things)]
    name = missing[int(t.rng.integers(len(missing)))]
    o = f"the {word(t.rng, SHAPE_WORDS[name])}"
    do = pick(t.rng, REMOVE_DO, t.part).format(o=o) if t.chance(0.3) else order_for(o, t.rng, t.part)
    t.says(t.casual(pick(t.rng, DO, t.part).format(x=do).capitalize()))
    t.replies(f"There is no {name} in the video.", "decline")


def edit_drawn(t: Talk) -> None:
    """A drawing and what people then want changed."""
    request = draw_one(t)
    if t.chance(0.2):
        ask_drawn(t, request)
    _edits(t, request, int(t.rng.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1])), posted=False)


WHAT_DRAWN = (
    "What did you draw?",
    "What have you drawn?",
    "What did you just draw?",
    "What is in the video that you drew?",
    "What was that?",
    "What does your video show?",
    "Tell me what you drew.",
    "Can you say what you drew?",
    "What did you make?",
    "What did you make there?",
    "What's that you drew?",
    "What have you made?",
    "What's in your video?",
    "Describe what you drew.",
    "What is that that you drew?",
    "Can you describe your drawing?",
    "What did I get?",
    "Can you tell me what you have drawn?",
    "Tell me what your video shows.",
)
DRAWN_ATTRIBUTES = {
    "color": (
        "What color was it?",
        "What color did it have?",
        "Which color did you draw?",
        "What color is it?",
        "What was its color?",
        "Which color was it?",
        "And its color?",
        "What color again?",
        "What color did you make it?",
        "Which color did you use?",
        "What color did you choose?",
        "What's its color?",
        "What color did you give it?",
        "Tell me which color it was.",
        "Can you say which color it was?",
    ),
    "shape": (
        "What shape was it?",
        "What shape did it have?",
        "Which shape did you draw?",
        "What shape is it?",
        "What was its shape?",
        "Which shape was it?",
        "And its shape?",
        "What shape again?",
        "What shape did you make it?",
        "What did you use, which shape?",
        "What shape did you choose?",
        "What's its shape?",
        "Which shape is it that you drew?",
        "Tell me which shape it was.",
        "Can you say which shape it was?",
    ),
    "motion": (
        "How did it move?",
        "How does it move?",
        "What did it do?",
        "Which way did it move?",
        "What was its motion?",
        "What is it doing?",
        "And its motion?",
        "What's it doing?",
        "What does it do?",
        "How did you make it move?",
        "Which way does it move?",
        "Which way did it go?",
        "How was it moving?",
        "Tell me what it did.",
        "Can you say how it did move?",
    ),
    "background": (
        "What was the background?",
        "What color was the background?",
        "Which background did you draw?",
        "What background did it have?",
        "What color is the background?",
        "Which background was it?",
        "And the background?",
        "What background again?",
        "What's the background?",
        "Which background did you use?",
        "What background did you choose?",
        "On what background was it?",
        "What color did you make the background?",
        "Tell me which background it was.",
        "Can you say which background it was?",
    ),
}


def ask_drawn(t: Talk, request: Request) -> None:
    """A question about what was drawn, answered from the conversation."""
    first = request.things[0]
    facts: dict[str, tuple[str, str]] = {}
    if request.background:
        facts["background"] = (request.background, f"the background is {request.background}")
    if len(request.things) == 1:
        facts["shape"] = (first.shape, f"it is a {first.shape}")
        if first.color:
            facts["color"] = (first.color, f"the {first.shape} is {first.color}")
        if first.motion:
            facts["motion"] = (first.motion, f"the {first.shape} is {doing(first.motion)}")
    if not facts or t.chance(0.35):
        t.says(t.casual(pick(t.rng, WHAT_DRAWN, t.part)))
        t.replies(f"I drew {prompt(request)}.", "answer")
        return
    name = list(facts)[int(t.rng.integers(len(facts)))]
    value, answer = facts[name]
    question = t.casual(pick(t.rng, DRAWN_ATTRIBUTES[name], t.part))
    t.asks(QA("drawn", question, sentence(answer), Key(name, (value,))))  # type: ignore[arg-type]


def edit_posted(t: Talk) -> None:
    """A posted video, drawn again with a change."""
    videos = t.posts(POSTED_TO_COPY)
    scene = t.scenes[-1]
    if t.chance(0.4):
        ask_some(t, videos, 1 + int(t.chance(0.3)))
        videos = ()
    request = full_request(canonical(scene))
    if t.chance(0.15):
        text = t.casual(pick(t.rng, RECREATE, t.part))
    else:
        text, request = change(request, t.rng, t.part, posted=True)
    t.says(text, videos)
    t.draws(request)
    if t.chance(0.3):
        _edits(t, request, 1 + int(t.chance(0.3)), posted=False)
