"""What the renderer promises of its frames."""

from __future__ import annotations

import numpy as np
import pytest

from gpt4video.shapes.render import FPS, NUM_FRAMES, OUTLINES, SIDE, Style, frame_times, render, sample_style
from gpt4video.shapes.world import BACKGROUNDS, COLORS, SHAPES, SIZES, Scene, Thing, sample_scene

CIRCLE = Thing("red", "circle", "large", "still")


def test_a_scene_makes_frames_of_the_native_size():
    frames = render(Scene((CIRCLE,), "white"))
    assert frames.shape == (NUM_FRAMES, SIDE, SIDE, 3)
    assert frames.dtype == np.uint8


def test_every_shape_has_an_outline():
    assert set(OUTLINES) == set(SHAPES)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("color", COLORS)
def test_colors_are_those_of_the_palette(color, background):
    frame = render(Scene((Thing(color, "square", "large", "still"),), background), times=np.zeros(1))[0]
    assert tuple(frame[32, 32]) == COLORS[color]
    assert tuple(frame[0, 0]) == BACKGROUNDS[background]


def test_a_circle_covers_its_area_at_any_size():
    for side in (48, 64, 200):
        frame = render(Scene((CIRCLE,), "black"), width=side, height=side, times=np.zeros(1))[0]
        share = (frame[..., 0].astype(float) - 10).sum() / (COLORS["red"][0] - 10) / side**2
        assert share == pytest.approx(np.pi * SIZES["large"] ** 2, rel=0.02)


def test_wide_frames_keep_shapes_in_proportion():
    frame = render(Scene((CIRCLE,), "black"), width=128, height=64, times=np.zeros(1))[0]
    solid = frame[..., 0] > 120
    assert abs(int(solid.any(0).sum()) - int(solid.any(1).sum())) <= 1


def test_later_objects_stand_in_front():
    front = Thing("blue", "circle", "small", "still")
    frame = render(Scene((CIRCLE, front), "white"), times=np.zeros(1))[0]
    assert tuple(frame[32, 32]) == COLORS["blue"]


def test_events_show_when_they_happen():
    times = np.array([0.0, 1.9])
    for event, seen in (("appears", (False, True)), ("vanishes", (True, False))):
        thing = Thing("red", "circle", "large", "still", event=event)
        frames = render(Scene((thing,), "white"), times=times)
        assert tuple(bool(tuple(f[32, 32]) == COLORS["red"]) for f in frames) == seen
    turned = Thing("red", "circle", "large", "still", event="recolors", new_color="green")
    frames = render(Scene((turned,), "white"), times=times)
    assert [tuple(f[32, 32]) for f in frames] == [COLORS["red"], COLORS["green"]]


def test_the_canonical_look_is_the_same_every_time():
    rng = np.random.default_rng(0)
    scene = sample_scene(rng)
    assert (render(scene) == render(scene)).all()


def test_styles_change_the_look_but_not_the_scene():
    rng = np.random.default_rng(1)
    scene = Scene((CIRCLE,), "black")
    for _ in range(30):
        style = sample_style(rng)
        frames = render(scene, style=style, rng=np.random.default_rng(2), times=np.zeros(1))
        assert frames.shape == (1, SIDE, SIDE, 3)
        red = frames[0].astype(int)
        assert red[32, 32, 0] > red[32, 32, 1] + 60
        assert red[4, 4].max() < 90


def test_noise_and_gradients_are_drawn():
    scene = Scene((CIRCLE,), "gray")
    plain = render(scene, times=np.zeros(1))
    noisy = render(scene, times=np.zeros(1), style=Style(noise=5.0), rng=np.random.default_rng(0))
    slope = render(scene, times=np.zeros(1), style=Style(gradient=20.0))
    assert 2 < (noisy.astype(float) - plain).std() < 8
    assert slope[0, 32, -1, 0] - slope[0, 32, 0, 0] == pytest.approx(20, abs=2)


def test_frames_come_at_an_even_rate():
    times = frame_times(2.0, FPS)
    assert len(times) == NUM_FRAMES
    assert np.diff(times) == pytest.approx(1 / FPS)
