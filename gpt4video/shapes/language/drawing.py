"""Conversations about drawings: wishes, and what is then to be changed, of a drawn or of a posted video."""

from __future__ import annotations

from dataclasses import replace

from gpt4video.shapes.language import asking, limits
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
from gpt4video.shapes.language.wordings import AGAIN, DO, ELSE, KILL, RECREATE, REMOVE_DO, UNDO
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
        if len(request.things) > 1 and request.relation is None and t.chance(0.35):
            request = _paired(t, request)
        if allowed(request, t.part):
            return request


def _paired(t: Talk, request: Request) -> Request:
    """All of one shape, which differ in color alone; or two that move towards each other, or apart."""
    first = request.things[0]
    alike = tuple(replace(first, color=w.color) for w in request.things)
    if len(alike) > 2 or t.chance(0.5):
        return replace(request, things=alike)
    ways = ("right", "left") if t.chance(0.6) else ("left", "right")
    pair = zip(alike if t.chance(0.6) else request.things, ways, strict=True)
    things = tuple(replace(w, motion=way, speed=first.speed) for w, way in pair)
    return replace(request, things=things, relation="left_of")  # without it they would pass


SURPRISES = (
    Request((Wanted("star", "red", None, "bouncing"),), "navy"),
    Request((Wanted("square", "green", None, "spinning"),), "black"),
)
"""What is drawn where anything will do; the second where it is to be something else than the first."""


def draw_one(t: Talk) -> Request:
    """One drawing."""
    if t.chance(0.03):
        t.says(t.casual(pick(t.rng, SURPRISE, t.part)))
        t.draws(SURPRISES[0])
        return SURPRISES[0]
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
        elif t.chance(0.05):
            text = t.casual(pick(t.rng, ELSE, t.part))
            request = SURPRISES[int(request == SURPRISES[0])]
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
        elif t.chance(0.1):
            _edit_in_vain(t, request)
        elif t.chance(0.04):
            _edit_absent(t, request)
    return request


def _edit_in_vain(t: Talk, request: Request, videos: tuple[int, ...] = (), posted: bool = False) -> None:
    """A change that leads outside the world."""
    said, reply = limits.impossible_edit(t.rng, t.part, len(request.things))
    if t.chance(0.65):
        said, reply = odd_change(t, request, posted)
    t.says(t.casual(said), videos)
    t.replies(reply, "decline")


def odd_wish(t: Talk) -> tuple[str, str]:
    """A wish like any other, but for a color or a background that nothing here has; and its reply."""
    while True:
        request = wish(t)
        said = ask_for(request, t.rng, t.part)
        if found := _odd(t, said, [w.color for w in request.things], request.background):
            return found


def odd_change(t: Talk, request: Request, posted: bool) -> tuple[str, str]:
    """A change like any other, but for what something shall become; and its reply."""
    before = {w.color for w in request.things}
    while True:
        said, after = change(request, t.rng, t.part, posted, ("color", "background", "add"))
        background = after.background if after.background != request.background else None
        if found := _odd(t, said, [w.color for w in after.things if w.color not in before], background):
            return found


def _odd(t: Talk, said: str, colors: list[str | None], background: str | None) -> tuple[str, str] | None:
    """The words with another one for a color or the background; None where that cannot be told apart."""
    if background is not None and (not any(colors) or t.chance(0.5)):
        return limits.odd_background(said, background, t.rng, t.part)
    named = [c for c in colors if c is not None]
    return limits.odd_color(said, named[int(t.rng.integers(len(named)))], t.rng, t.part) if named else None


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
        t.says(t.casual(pick(t.rng, WHAT_DRAWN if t.chance(0.7) else asking.SAID, t.part)))
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
    if t.chance(0.1):
        _edit_in_vain(t, request, videos, posted=True)
        videos = ()
    if t.chance(0.15):
        text = t.casual(pick(t.rng, RECREATE, t.part))
    else:
        text, request = change(request, t.rng, t.part, posted=True)
    t.says(text, videos)
    t.draws(request)
    if t.chance(0.3):
        _edits(t, request, 1 + int(t.chance(0.3)), posted=False)
