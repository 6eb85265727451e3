"""Conversations about posted videos: questions that follow each other, and two videos beside each other."""

from __future__ import annotations

from dataclasses import replace

from gpt4video.shapes.language import asking, limits
from gpt4video.shapes.language.answers import sentence
from gpt4video.shapes.language.asking import ELLIPSIS, put
from gpt4video.shapes.language.describe import COLOR_WORDS, COUNT_WORDS, SHAPE_WORDS, pick, word
from gpt4video.shapes.language.judge import QA, Key
from gpt4video.shapes.language.leaning import alone, lean, other_one, which_or_nth
from gpt4video.shapes.language.questions import sample_question
from gpt4video.shapes.language.refer import doing
from gpt4video.shapes.language.turns import Talk
from gpt4video.shapes.world import COLORS, POSTED, SHAPES, Scene


def one_video(t: Talk) -> None:
    """One to five questions about one video."""
    videos = t.posts()
    ask_some(t, videos, int(t.rng.choice([1, 2, 3, 4, 5], p=[0.4, 0.25, 0.18, 0.1, 0.07])))


FOLLOWED = ("color", "shape", "motion", "size")


def ask_some(t: Talk, videos: tuple[int, ...], number: int, scene: Scene | None = None) -> None:
    scene = scene or t.scenes[-1]
    if t.chance(0.06) and videos:
        t.says(t.casual(pick(t.rng, LOOK, t.part)), videos)
        t.replies("I see it. What do you want to know?", "chat")
        videos = ()
    for _ in range(number):
        toss = t.rng.random()
        if toss < 0.06:
            _absent(t, scene, videos)
        elif toss < 0.08:
            question, reply = limits.unseen(t.rng, t.part)
            t.says(t.casual(question), videos)
            t.replies(reply, "decline", QA("absent", question, reply, Key("nothing", ())))
        elif toss < 0.2 and (_it if toss < 0.16 else other_one)(t, scene, videos):
            pass
        else:
            qa = sample_question(scene, t.rng, t.part)
            assert qa is not None, "every scene has a background to ask for"
            t.asks(qa, videos)
            if qa.kind in FOLLOWED and len(scene.things) > 1 and t.chance(0.35):
                _ellipsis(t, scene, qa)
            elif t.chance(0.07):
                lean(t, scene, qa)
        videos = ()


LOOK = (
    "Look at this.",
    "Look at this video.",
    "Here is a video.",
    "I have a video for you.",
    "This is my video.",
    "See this.",
    "I want to ask you about this video.",
    "Watch this.",
    "Have a look at this.",
    "Take a look at this.",
    "Take a look at this clip.",
    "Look at my clip.",
    "Check this out.",
    "Here.",
    "Here you go.",
    "Here's a clip.",
    "Here's my video.",
    "I've got a clip here.",
    "Got a video for you.",
    "Can you watch this?",
    "Can you look at this?",
    "Could you have a look at this video?",
    "I have a question about this.",
    "I have some questions about this clip.",
    "Let's talk about this one.",
    "See this clip.",
    "Please look at my video.",
    "Here is my video for you.",
)


def _ellipsis(t: Talk, scene: Scene, asked: QA) -> None:
    """`And the square?`"""
    for index in t.rng.permutation(len(scene.things)):
        thing = scene.things[int(index)]
        unique = sum(o.shape == thing.shape for o in scene.things) == 1
        if asked.kind != "shape" and not unique:
            continue
        if thing.event == "recolors" or (asked.kind == "size" and not thing.sized):
            continue
        if asked.kind == "shape":
            o = said = f"the {thing.color} object"
        else:
            o, said = f"the {word(t.rng, SHAPE_WORDS[thing.shape])}", f"the {thing.shape}"
        if said in asked.answer.lower():
            continue
        value = {"color": thing.color, "shape": thing.shape, "motion": thing.motion, "size": thing.size}[
            asked.kind
        ]
        truth = {"shape": f"a {value}", "motion": doing(thing.motion)}.get(asked.kind, value)
        question = t.casual(pick(t.rng, ELLIPSIS, t.part).format(o=o))
        key = Key(asked.kind, (value,))  # type: ignore[arg-type]
        t.asks(QA(asked.kind, question, sentence(f"{said} is {truth}"), key))
        return


def _it(t: Talk, scene: Scene, videos: tuple[int, ...]) -> bool:
    """`What color is the star? And how does it move?`: the second question leans on the first.

    False where no object can be named so simply, or there is one alone.
    """
    if len(scene.things) == 1:
        return False
    index = int(t.rng.integers(len(scene.things)))
    thing = scene.things[index]
    unique = sum(o.shape == thing.shape for o in scene.things) == 1
    if not unique or thing.event == "recolors":
        return False
    o, said = f"the {word(t.rng, SHAPE_WORDS[thing.shape])}", f"the {thing.shape}"
    kinds = [k for k in t.rng.permutation(["color", "motion", "size"]) if k != "size" or thing.sized]
    tables = {"color": asking.COLOR, "motion": asking.MOTION, "size": asking.SIZE}
    for kind, name in zip(kinds[:2], (o, "it"), strict=True):
        value = str(getattr(thing, kind))
        truth = doing(value) if kind == "motion" else value
        question = put(t.rng, pick(t.rng, tables[kind], t.part), o=name)
        if name == "it" and t.chance(0.4):
            rest = asking.unled(question)
            question = t.casual(rest if rest.startswith(("and ", "so ")) else f"And {rest}")
        key = Key(kind, (value,))
        t.asks(QA(str(kind), question, sentence(f"{said} is {truth}"), key), videos)
        videos = ()
    return True


def _absent(t: Talk, scene: Scene, videos: tuple[int, ...]) -> None:
    """A question about an object that is not there."""
    if t.chance(0.35):
        taken = {thing.color for thing in scene.things} | {thing.new_color for thing in scene.things}
        colors = [c for c in COLORS if c not in taken]
        color = colors[int(t.rng.integers(len(colors)))]
        o = f"the {word(t.rng, COLOR_WORDS[color])} {word(t.rng, ('object', 'shape', 'one', 'thing'))}"
        by_color = (asking.SHAPE, asking.MOTION, asking.SIZE)[int(t.rng.integers(3))]
        question = put(t.rng, pick(t.rng, by_color, t.part), o=o)
        _denied(t, question, f"There is no {color} object in the video.", videos)
        return
    missing = [s for s in SHAPES if all(thing.shape != s for thing in scene.things)]
    name = missing[int(t.rng.integers(len(missing)))]
    o = f"the {word(t.rng, SHAPE_WORDS[name])}"
    asked = (asking.COLOR, asking.MOTION, asking.SIZE, asking.SPEED)[int(t.rng.integers(4))]
    question = put(t.rng, pick(t.rng, asked, t.part), o=o)
    _denied(t, question, f"There is no {name} in the video.", videos)


def _denied(t: Talk, question: str, answer: str, videos: tuple[int, ...]) -> None:
    t.says(question, videos)
    t.replies(answer, "answer", QA("absent", question, answer, Key("nothing", ())))


def two_videos(t: Talk) -> None:
    """Questions about the first and the second of two videos, and comparisons."""
    a = t.posts()
    alike = t.chance(0.3)  # some pairs have much in common
    b = t.posts(replace(POSTED, background=t.scenes[0].background) if alike else POSTED)
    if t.chance(0.6):
        videos: tuple[int, ...] = a + b
    else:
        if t.chance(0.7):
            ask_some(t, a, 1, t.scenes[0])
        else:
            t.says(t.casual(pick(t.rng, LOOK, t.part)), a)
            t.replies("I see it. What do you want to know?", "chat")
        videos = b
    # Training asks more about each pair, which is long to read.
    numbers, shares = ((1, 2, 3), (0.4, 0.4, 0.2)) if t.part != "training" else ((1, 3, 6), (0.3, 0.4, 0.3))
    for _ in range(int(t.rng.choice(numbers, p=shares))):
        # In training alone: what is measured of two videos stays what it was; `leaning` has its own.
        if t.part == "training" and not videos and t.chance(0.2) and which_or_nth(t):
            continue
        qa = _compare(t) if t.chance(0.5) else None
        if qa is None:
            which = int(t.rng.integers(2))
            inner = sample_question(t.scenes[which], t.rng, t.part)
            assert inner is not None, "every scene has a background to ask for"
            frame = pick(t.rng, IN_VIDEO, t.part)
            q = asking.unled(inner.question).rstrip("?.")
            qa = replace(inner, question=t.casual(frame.format(q=q, n=("first", "second")[which])))
        t.asks(qa, videos)
        videos = ()


IN_VIDEO = (
    "In the {n} video: {q}?",
    "In the {n} video: {q}?",
    "{n} video: {q}?",
    "About the {n} video: {q}?",
    "The {n} video: {q}?",
    "{q} (in the {n} video)?",
    "{q}? I mean the {n} video.",
    "Look at the {n} video. {q}?",
    "{q}, in the {n} video?",
    "In the {n} one: {q}?",
    "In the {n} clip: {q}?",
    "{q} in the {n} video?",
    "{q} in the {n} one?",
    "{q} in the {n} clip?",
    "In the {n} of them, {q}?",
    "For the {n} video: {q}?",
    "For the {n} one, {q}?",
    "{n} one: {q}?",
    "{n} clip, {q}?",
    "About the {n} one, {q}?",
    "I ask about the {n} video: {q}?",
    "Now look at the {n} clip: {q}?",
)
SAME = {
    "color": (
        "Is the color the same in both videos?",
        "Do both videos show the same color?",
        "Do the objects have the same color?",
        "Are both objects of the same color?",
        "Do the two videos show the same color?",
        "Same color in both?",
        "Is it the same color in both?",
        "Are they the same color?",
        "Are both the same color?",
        "Have both got the same color?",
        "Is the color the same?",
        "Is it the same color in both clips?",
        "Is the color of the object the same in the two videos?",
        "Do both objects have the same color in the videos?",
    ),
    "shape": (
        "Is the shape the same in both videos?",
        "Do both videos show the same shape?",
        "Do the objects have the same shape?",
        "Are both objects of the same shape?",
        "Do the two videos show the same shape?",
        "Same shape in both?",
        "Is it the same shape in both?",
        "Are they the same shape?",
        "Are both the same shape?",
        "Have both got the same shape?",
        "Is the shape the same?",
        "Is it the same shape in both clips?",
        "Is the shape of the object the same in the two videos?",
        "Do both objects have the same shape in the videos?",
    ),
    "motion": (
        "Is the motion the same in both videos?",
        "Do both videos show the same motion?",
        "Do the objects move in the same way?",
        "Do both objects move the same way?",
        "Do the two videos show the same motion?",
        "Same motion in both?",
        "Do they move the same way?",
        "Is it moving the same way in both?",
        "Do both move alike?",
        "Is the movement the same?",
        "Do they both do the same?",
        "Is the movement the same in both clips?",
        "Is the motion of the object the same in the two videos?",
        "Do both objects have the same motion in the videos?",
    ),
    "background": (
        "Is the background the same in both videos?",
        "Do both videos have the same background?",
        "Are the backgrounds the same?",
        "Do the videos have the same background?",
        "Do the two videos have the same background color?",
        "Same background?",
        "Same background in both?",
        "Is the background the same?",
        "Is it the same background in both?",
        "Do they have the same background?",
        "Have both clips got the same background?",
        "Is the backdrop the same in both?",
        "Is the background color the same in the two videos?",
        "Are the backgrounds of both videos the same?",
    ),
    "count": (
        "Do both videos show the same number of objects?",
        "Is the number of objects the same in both videos?",
        "Are there as many objects in the first video as in the second?",
        "Do the two videos have the same number of shapes?",
        "Is the number of shapes the same?",
        "Same number of objects?",
        "Same number of things in both?",
        "Do they have the same number of objects?",
        "Do both have the same number of shapes?",
        "Is the number the same?",
        "Are there equally many objects in both?",
        "Do both clips have as many things?",
        "Is the number of shapes the same in the two videos?",
        "Do the videos show the same number of shapes?",
    ),
}
MORE = (
    "Which video has more objects?",
    "Which video shows more objects?",
    "Which one has more shapes?",
    "In which video are there more objects?",
    "Which of the two videos has more objects?",
    "Which clip has more objects?",
    "Are there more objects in the first or in the second video?",
    "Which video has more things in it?",
    "Which has more?",
    "Which one has more?",
    "Which video has more in it?",
    "Which one has more things in it?",
    "Where are there more objects?",
    "In which one are there more?",
    "Which clip shows more objects?",
    "Which has more objects, the first or the second?",
    "Is there more in the first or the second one?",
    "In which clip are there more shapes?",
    "In which of the two videos are there more shapes?",
    "Which of the two videos shows more things?",
)
DIFFERS = {
    "color": (
        "How do the colors differ?",
        "What is different about the colors?",
        "What colors do the two objects have?",
        "Which colors do the first and the second object have?",
        "Compare the colors.",
        "How are the colors different?",
        "What's the difference in color?",
        "What colors are they in the two videos?",
        "Which color is in which video?",
        "What's the color in each video?",
        "Tell me the color in both videos.",
        "Compare the colors of the two objects.",
        "How do the colors of the objects differ?",
    ),
    "shape": (
        "How do the shapes differ?",
        "What is different about the shapes?",
        "What shapes do the two objects have?",
        "Which shapes do the first and the second object have?",
        "Compare the shapes.",
        "How are the shapes different?",
        "What's the difference in shape?",
        "What shapes are they in the two videos?",
        "Which shape is in which video?",
        "What's the shape in each video?",
        "Tell me the shape in both videos.",
        "Compare the shapes of the two objects.",
        "How do the shapes of the objects differ?",
    ),
    "motion": (
        "How do the motions differ?",
        "What is different about the motion?",
        "How do the two objects move?",
        "How do the first and the second object move?",
        "Compare the motions.",
        "How are the motions different?",
        "What's the difference in how they move?",
        "How does it move in each video?",
        "How do they move in the two videos?",
        "What's the motion in each video?",
        "Tell me how they move in both videos.",
        "Compare the motions of the two objects.",
        "How do the motions of the objects differ?",
    ),
    "background": (
        "How do the backgrounds differ?",
        "What is different about the backgrounds?",
        "What backgrounds do the two videos have?",
        "Which backgrounds do the first and the second video have?",
        "Compare the backgrounds.",
        "How are the backgrounds different?",
        "What's the difference in the background?",
        "What backgrounds are there in the two videos?",
        "Which background is in which video?",
        "What's the background in each video?",
        "Tell me the background of both videos.",
        "Compare the backgrounds of the two videos.",
        "How do the backgrounds of the videos differ?",
    ),
}


def _compare(t: Talk) -> QA | None:
    """Is it the same in both videos, which has more, how do they differ?"""
    one, two = t.scenes[:2]
    names = ["background", "count", *(("color", "shape", "motion") if alone(one) and alone(two) else ())]
    name = names[int(t.rng.integers(len(names)))]
    if name == "count":
        a, b = (COUNT_WORDS[len(s.things)] for s in (one, two))
        if t.chance(0.6):
            question = t.casual(pick(t.rng, MORE, t.part))
            if a == b:
                return QA("compare", question, "Both have the same number.", Key("video", ("both",)))
            which = "first" if len(one.things) > len(two.things) else "second"
            return QA("compare", question, f"The {which} video has more objects.", Key("video", (which,)))
        says = (a, b)
    elif name == "background":
        a, b = one.background, two.background
        says = (a, b)
    else:
        a, b = (str(getattr(s.things[0], name)) for s in (one, two))
        says = (a, b)
        if name == "shape":
            says = (f"a {a}", f"a {b}")
        elif name == "motion":
            says = (doing(a), doing(b))
    if name == "count":
        both = "both have the same number"
        differ = f"the first has {a} and the second has {b}"
    else:
        subject = "background " if name == "background" else ""
        both = f"both {subject.replace(' ', 's ')}are {says[0]}"
        if name == "shape":
            both = f"both are {a}{'es' if a.endswith('s') else 's'}"
        differ = f"the first {subject}is {says[0]} and the second is {says[1]}"
    if name in DIFFERS and t.chance(0.35):
        question = t.casual(pick(t.rng, DIFFERS[name], t.part))
        if a == b:
            return None
        return QA("compare", question, sentence(differ), Key("difference", (a, b)))
    question = t.casual(pick(t.rng, SAME[name], t.part))
    answer = f"Yes, {both}." if a == b else f"No, {differ}."
    return QA("compare", question, answer, Key("yesno", ("yes" if a == b else "no",)))
