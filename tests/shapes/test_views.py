"""Scenes in a mirror and backwards, against the pixels themselves."""

import numpy as np
import pytest

from gpt4video.shapes import views
from gpt4video.shapes.render import frame_times, render
from gpt4video.shapes.world import part_of, sample_scene


def pairs(view, count):
    rng = np.random.default_rng(5)
    while count:
        scene = sample_scene(rng)
        if seen := view(scene):
            count -= 1
            yield scene, seen


def test_a_mirrored_scene_is_drawn_as_a_mirror_image():
    for scene, seen in pairs(views.mirrored, 40):
        own, other = render(scene)[:, :, ::-1].astype(int), render(seen).astype(int)
        assert np.abs(own - other).max() <= 1


def test_a_reversed_scene_is_drawn_backwards():
    for scene, seen in pairs(views.reversed, 40):
        times = frame_times(scene.duration, 8.0) + 0.061  # not the very moment of an event
        own = render(scene, times=times[::-1]).astype(int)
        other = render(seen, times=scene.duration - times[::-1]).astype(int)
        assert np.abs(own - other).max() <= 1


@pytest.mark.parametrize("view", [views.mirrored, views.reversed])
def test_what_is_held_out_stays_held_out(view):
    for _, seen in pairs(view, 200):
        for thing in seen.things:
            for color in filter(None, (thing.color, thing.new_color)):
                assert part_of(color, thing.shape, thing.motion) == "training"


@pytest.mark.parametrize("view", [views.mirrored, views.reversed])
def test_twice_is_the_scene_again(view):
    for scene, seen in pairs(view, 40):
        again = view(seen)
        assert again is not None
        assert np.abs(render(again).astype(int) - render(scene)).max() <= 1
