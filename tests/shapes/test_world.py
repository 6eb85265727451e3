"""What the world promises of its scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpt4video.shapes.world import (
    BACKGROUNDS,
    COLORS,
    DRAWN,
    EDGE,
    MOTIONS,
    POSTED,
    SHAPES,
    SPEEDS,
    Thing,
    above,
    left_of,
    observable,
    part_of,
    sample_scene,
)

PARTS = ("training", "validation", "test")


def drawn(count, part="training", mix=POSTED, seed=0):
    rng = np.random.default_rng(seed)
    return [sample_scene(rng, part, mix) for _ in range(count)]


def test_a_seed_makes_a_scene():
    assert drawn(20, seed=4) == drawn(20, seed=4)
    assert drawn(5, seed=4) != drawn(5, seed=5)


@pytest.mark.parametrize("part", PARTS)
def test_every_triple_belongs_to_its_part(part):
    for scene in drawn(150, part):
        assert {part_of(t.color, t.shape, t.motion) for t in scene.things} == {part}


def test_training_knows_every_pair_and_never_the_held_out_triples():
    triples = [(c, s, m) for c in COLORS for s in SHAPES for m in MOTIONS if observable(s, m)]
    training = {t for t in triples if part_of(*t) == "training"}
    for keep in ((0, 1), (0, 2), (1, 2)):
        assert {tuple(t[i] for i in keep) for t in triples} == {tuple(t[i] for i in keep) for t in training}
    for part in ("validation", "test"):
        share = sum(part_of(*t) == part for t in triples) / len(triples)
        assert 0.07 < share < 0.13


def test_nobody_is_asked_to_see_a_circle_spin():
    for scene in drawn(300):
        assert all(observable(t.shape, t.motion) for t in scene.things)


def test_objects_stay_in_the_frame_but_for_a_sliver_of_the_longest_ways():
    for scene in drawn(300):
        times = np.linspace(0, scene.duration, 33)
        sliver = 0.06 if scene.duration < 2.3 else 0.13
        for thing in scene.things:
            state = thing.at(times, scene.duration)
            for center in (state.x, state.y):
                assert (np.abs(center) + 0.9 * state.radius < EDGE + sliver).all()


def test_objects_meet_only_where_one_passes():
    for scene in drawn(200):
        if scene.passes:
            continue
        states = [t.at(np.linspace(0, scene.duration, 17), scene.duration) for t in scene.things]
        for i, a in enumerate(states):
            for b in states[i + 1 :]:
                assert (np.hypot(a.x - b.x, a.y - b.y) > a.radius + b.radius).all()


def test_colors_and_backgrounds_of_a_scene_can_be_told_apart():
    for scene in drawn(200):
        colors = [t.color for t in scene.things] + [t.new_color for t in scene.things if t.new_color]
        assert len(set(colors)) == len(colors)
        assert scene.background in BACKGROUNDS


def test_speeds_keep_to_their_bands():
    for thing in (
        t for scene in drawn(300, mix=DRAWN) if not scene.passes for t in scene.things if t.travels
    ):
        low, high = SPEEDS[thing.speed]
        assert low <= thing.pace <= high


def test_what_drawings_show_has_no_events():
    for scene in drawn(200, mix=DRAWN):
        assert scene.event is None
        assert not scene.order
        assert scene.duration == 2.0


def test_everything_that_can_happen_happens():
    scenes = drawn(800)
    assert {t.event for s in scenes for t in s.things} == {None, "appears", "vanishes", "recolors"}
    assert any(s.passes for s in scenes)
    assert any(s.order for s in scenes)
    assert {len(s.things) for s in scenes} == {1, 2, 3}
    assert {t.motion for s in scenes for t in s.things} == set(MOTIONS)


def test_the_first_to_move_has_moved_before_the_other_begins():
    for scene in (s for s in drawn(600) if s.order):
        first = scene.things[scene.first]
        second = scene.things[1 - scene.first]
        assert first.window[1] < second.window[0]


def test_left_of_and_above_are_each_others_mirror():
    for scene in (s for s in drawn(200) if len(s.things) > 1):
        a, b = scene.things[:2]
        for relation in (left_of, above):
            here, there = relation(a, b, scene.duration), relation(b, a, scene.duration)
            assert (here is None and there is None) or here == (not there)


def test_relations_hold_while_both_are_visible():
    still = Thing("red", "circle", "small", "still", x=0.1)
    mover = Thing("blue", "star", "small", "right", "fast", pace=0.3)
    assert left_of(mover, still, 2.0) is None
    assert left_of(replace(mover, event="vanishes", event_at=0.4), still, 2.0) is True
