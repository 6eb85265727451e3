"""The set written by hand, and how it is judged."""

import numpy as np
import pytest

from benchmarks.quality import handwritten
from gpt4video.answer import Answer
from gpt4video.messages import GenerationRequest, VideoDone
from gpt4video.shapes.language.describe import prompt
from gpt4video.shapes.world import part_of
from gpt4video.video import Clip

FRAME = Clip.of(np.zeros((1, 4, 4, 3), np.uint8), 1.0)


def answer(text="", drew=None, refused=False):
    videos = () if drew is None else (VideoDone(0, GenerationRequest(drew), FRAME, 0),)
    return Answer(text, videos, finish_reason="content_filter" if refused else "stop")


def test_the_handwritten_set_is_whole():
    scenes, items = handwritten.read_set()
    assert sum(map(len, items.values())) == 300
    said = [item["say"] for kind in items.values() for item in kind]
    assert len(set(said)) > 290
    for kind in ("drawings", "edits"):
        for item in items[kind]:
            wish = handwritten.wish_of(item["draw"])
            complete = all(w.shape for w in wish.things)
            # A prompt that says just this meets it.
            assert (
                not complete
                or not wish.things
                or "says" in item
                or handwritten.meets(wish, item, prompt(wish))
            )
    assert all(item["scene"] in scenes for item in items["questions"])
    assert {item["must"] for item in items["others"]} == set(handwritten.MUST)


@pytest.mark.parametrize(
    ("scene", "say", "right", "reply", "ok"),
    [
        ("v01", "what colour is that thing?", "cyan", "The cross is cyan.", True),
        ("v01", "what colour is that thing?", "cyan", "The cross is blue.", False),
        ("v01", "what colour is that thing?", "cyan", "It is cyan or red.", False),
        ("v01", "which way?", "right", "It is moving to the right.", True),
        ("v02", "is that cross red or orange?", "orange", "It is red.", False),
        ("v17", "which is higher?", "circle", "The circle is above the square.", True),
        ("v17", "which is higher?", "circle", "The square is above the circle.", False),
        ("v17", "Which one isn't moving?", "green / circle", "The green one.", True),
        ("v23", "is the square left or right of the ring", "side:left", "It is left of the ring.", True),
        ("v23", "is the square left or right of the ring", "side:left", "It is to the right of it.", False),
        ("v35", "what color is the ring in the end?", "cyan", "The orange ring turns cyan.", True),
        ("v35", "what color is the ring in the end?", "cyan", "It is orange.", False),
        ("v22", "which colours?", "green + purple", "The colors are green and purple.", True),
        ("v22", "which colours?", "green + purple", "Both are green.", False),
        ("v30", "count the objects", "three", "There are three objects.", True),
        ("v30", "count the objects", "three", "There are two objects.", False),
        ("v07", "do you see any squares?", "no", "No, there is no square.", True),
        ("v07", "do you see any squares?", "no", "Yes, one.", False),
    ],
)
def test_answers_written_by_hand_are_judged_by_what_they_say(scene, say, right, reply, ok):
    scenes, _ = handwritten.read_set()
    assert handwritten.is_right({"say": say, "right": right}, scenes[scene], reply) == ok


@pytest.mark.parametrize(
    ("draw", "instruction", "ok"),
    [
        ("red circle left", "a small red circle moving left slowly on a white background", True),
        ("red circle left", "a red circle moving right", False),
        ("red circle left", "a red circle moving left and a blue square", False),
        ("blue square; red circle left", "a red circle moving left and a large blue square", True),
        ("blue square; red circle left", "a blue circle moving left and a red square", False),
        ("red circle; on navy", "a red circle on a navy background", True),
        ("red circle; on navy", "a red circle on a gray background", False),
        (
            "yellow; purple",
            "a yellow star and a purple ring, with the yellow star above the purple ring",
            True,
        ),
        ("on white", "a red circle and a blue star on a white background", True),
        ("any", "a red star bouncing on a navy background", True),
    ],
)
def test_instructions_are_read_by_their_facts(draw, instruction, ok):
    assert handwritten.meets(handwritten.wish_of(draw), {}, instruction) == ok


def test_what_must_not_be_drawn_is_not_drawn():
    must = handwritten.MUST
    assert must["refuse"](answer("", refused=True)) and not must["refuse"](answer("Sure.", drew="a star"))
    assert must["decline"](answer("I cannot draw that.")) and not must["decline"](answer("Sure."))
    assert must["chat"](answer("Hello!")) and not must["chat"](answer("Hello!", drew="a star"))


def test_all_scenes_are_of_the_test_part():
    scenes, _ = handwritten.read_set()
    assert {part_of(t.color, t.shape, t.motion) for s in scenes.values() for t in s.things} == {"test"}
