"""Which requested things are right in what was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpt4video.shapes.judge import judge
from gpt4video.shapes.language.describe import Request, Wanted, full_request, request_of
from gpt4video.shapes.oracle import read
from gpt4video.shapes.render import render
from gpt4video.shapes.world import DRAWN, Scene, Thing, sample_scene

LEFT = Thing("red", "circle", "small", "still", x=-0.25)
RIGHT = Thing("blue", "square", "small", "still", x=0.25)
SCENE = Scene((LEFT, RIGHT), "white")
FULL = full_request(SCENE)


def verdict(request: Request, scene: Scene) -> dict[str, bool]:
    return judge(request, read(render(scene)))


def test_a_scene_is_all_that_can_be_said_of_it():
    rng = np.random.default_rng(0)
    for _ in range(40):
        scene = sample_scene(rng, "training", DRAWN)
        reading = read(render(scene))
        assert all(judge(full_request(scene), reading).values())
        assert all(judge(request_of(scene, rng), reading).values())


def test_only_what_is_asked_for_is_judged():
    assert set(verdict(Request((Wanted("circle"), Wanted("square"))), SCENE)) == {
        "shape",
        "count",
        "everything",
    }


def test_a_wrong_attribute_spoils_itself_and_everything():
    changes = {
        "color": replace(RIGHT, color="green"),
        "shape": replace(RIGHT, shape="star"),
        "size": replace(RIGHT, size="large"),
        "motion": replace(RIGHT, motion="up", pace=0.12),
    }
    for attribute, thing in changes.items():
        result = verdict(FULL, Scene((LEFT, thing), "white"))
        assert [name for name, right in result.items() if not right] == [attribute, "everything"]


def test_an_object_more_or_less_spoils_the_count():
    more = Scene((*SCENE.things, Thing("pink", "star", "small", "still", y=0.3)), "white")
    result = verdict(FULL, more)
    assert [name for name, right in result.items() if not right] == ["count", "everything"]
    assert not verdict(FULL, Scene((LEFT,), "white"))["count"]


def test_background_and_relation_are_judged():
    assert not verdict(FULL, replace(SCENE, background="gray"))["background"]
    mirrored = Scene((replace(LEFT, x=0.25), replace(RIGHT, x=-0.25)), "white")
    assert not verdict(FULL, mirrored)["relation"]


def test_the_relation_tells_apart_objects_of_which_the_same_was_said():
    request = Request((Wanted("circle", motion="still"), Wanted("circle", motion="still")), None, "left_of")
    for first, second in ((-0.25, 0.25), (0.25, -0.25)):
        pair = Scene((replace(LEFT, x=first), replace(RIGHT, shape="circle", x=second)), "white")
        assert verdict(request, pair)["everything"]


def test_what_happens_unasked_is_not_everything_right():
    for event in ("appears", "vanishes"):
        result = verdict(FULL, Scene((LEFT, replace(RIGHT, event=event)), "white"))
        assert [name for name, right in result.items() if not right] == ["everything"]
    recolored = Scene((LEFT, replace(RIGHT, event="recolors", new_color="green")), "white")
    assert not verdict(FULL, recolored)["color"]


def test_nothing_is_right_on_noise():
    noise = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    assert not any(judge(FULL, read(noise)).values())
