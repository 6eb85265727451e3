"""What the words leave open is decided once; what a staged scene shows can be asked for and be read."""

from __future__ import annotations

import numpy as np
import pytest

from gpt4video.shapes.judge import judge
from gpt4video.shapes.language.describe import full_request, prompt
from gpt4video.shapes.oracle import read
from gpt4video.shapes.render import render
from gpt4video.shapes.staging import LOOSE, TRIANGLE, sample_staged, staged, told
from gpt4video.shapes.world import Mix, Scene, part_of, sample_scene

MIX = Mix(counts=(0.6, 0.3, 0.1), events=0.0, order=0.0)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(3)
    return [sample_staged(rng, "training", MIX) for _ in range(400)]


def test_the_oracle_reads_staged_scenes(scenes: list[Scene]) -> None:
    right = [judge(full_request(s), read(render(s)))["everything"] for s in scenes[:100]]
    assert np.mean(right) >= 0.99


def test_staged_scenes_stay_in_their_part(scenes: list[Scene]) -> None:
    assert {part_of(t.color, t.shape, t.motion) for s in scenes for t in s.things} == {"training"}


def test_one_prompt_means_one_scene_but_for_what_the_seed_may_move(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(4)
    drawn: dict[str, Scene] = {}
    met = 0
    for scene in [*scenes, *(sample_staged(rng, "training", MIX) for _ in range(900))]:
        if len(scene.things) > 2 or scene.passes:
            continue
        words = prompt(told(scene, rng))
        before = drawn.setdefault(words, scene)
        if before is scene:
            continue
        met += 1
        assert before.background == scene.background, words
        for a, b in zip(before.things, scene.things, strict=True):
            assert (a.color, a.shape, a.size, a.motion, a.speed) == (
                b.color,
                b.shape,
                b.size,
                b.motion,
                b.speed,
            )
            assert abs(a.x - b.x) <= 2 * LOOSE + 1e-9, words
            assert abs(a.y - b.y) <= 2 * LOOSE + 1e-9, words
    assert met > 50


def test_three_objects_stand_as_they_are_named_whichever_comes_first() -> None:
    rng = np.random.default_rng(6)
    firsts, in_place = set(), 0
    for _ in range(12):
        scene = sample_scene(rng, "training", Mix(counts=(0.0, 0.0, 1.0), events=0.0, order=0.0))
        for placed in filter(None, (staged(scene, rng) for _ in range(2))):
            firsts.add([t.color for t in scene.things].index(placed.things[0].color))
            if all(t.motion in ("still", "spinning", "growing", "shrinking") for t in placed.things):
                aside = [(t.x - x, t.y - y) for t, (x, y) in zip(placed.things, TRIANGLE, strict=True)]
                # A large one that grows stands up to 0.05 further in, or it would leave the frame.
                assert np.abs(aside).max() <= 0.05 + LOOSE
                in_place += 1
            assert judge(full_request(placed), read(render(placed)))["everything"]
    assert firsts == {0, 1, 2}
    assert in_place


def test_nothing_is_told_that_is_not_so(scenes: list[Scene]) -> None:
    rng = np.random.default_rng(5)
    for scene in scenes[:120]:
        request, full = told(scene, rng), full_request(scene)
        for said, thing in zip(request.things, full.things, strict=True):
            for name in ("shape", "color", "size", "motion", "speed"):
                assert getattr(said, name) in (None, getattr(thing, name))
        assert request.background in (None, full.background)
        assert request.relation in (None, full.relation)
