"""What the oracle promises: right on what is drawn, silent on what is not a scene."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, uniform_filter1d

from gpt4video.errors import InputError
from gpt4video.shapes.oracle import Reading, read
from gpt4video.shapes.render import render
from gpt4video.shapes.world import (
    BACKGROUNDS,
    COLORS,
    DRAWN,
    POSTED,
    SHAPES,
    TRAVELS,
    Mix,
    Scene,
    Thing,
    above,
    left_of,
    sample_scene,
)
from gpt4video.video import Sampling, encode_mp4, open_video

BAR = 0.995
POSTED_2S = replace(POSTED, durations=(2.0, 2.0))


def scenes(count: int, mix: Mix, seed: int) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [sample_scene(rng, "validation" if i % 5 == 0 else "training", mix) for i in range(count)]


def facts(scene: Scene, reading: Reading) -> list[tuple[str, bool]]:
    """Every attribute of the scene, and whether it was read right; objects are told apart by colour."""
    found = {thing.color: index for index, thing in enumerate(reading.things)}
    result = [
        ("count", reading.count == len(scene.things)),
        ("background", reading.background == scene.background),
    ]
    for thing in scene.things:
        result.append(("color", thing.color in found))
        if thing.color not in found:
            continue
        seen = reading.things[found[thing.color]]
        result.append(("shape", seen.shape == thing.shape))
        result.append(("motion", seen.motion == thing.motion))
        result.append(("event", (seen.event, seen.new_color) == (thing.event, thing.new_color)))
        if thing.sized:
            result.append(("size", seen.size == thing.size))
        if thing.travels:
            result.append(("speed", seen.speed == thing.speed))
    indices = [found.get(thing.color) for thing in scene.things]
    if None in indices or len(indices) < 2:
        return result
    for i, a in enumerate(scene.things):
        for j, b in enumerate(scene.things):
            for name, truth, told in (
                ("left_of", left_of, reading.left_of),
                ("above", above, reading.above),
            ):
                true = truth(a, b, scene.duration)
                if i != j and true is not None:
                    result.append((name, told(indices[i], indices[j]) == true))
    result.append(("passes", reading.passes == (((indices[1], indices[0]),) if scene.passes else ())))
    result.append(("first", reading.first == (None if scene.first is None else indices[scene.first])))
    return result


def shares(drawn: list[Scene], change) -> dict[str, float]:
    right = defaultdict(list)
    for scene in drawn:
        for name, is_right in facts(scene, read(change(render(scene)))):
            right[name].append(is_right)
    return {name: float(np.mean(values)) for name, values in right.items()}


def through_h264(enlarge: int):
    def change(frames):
        data = encode_mp4(frames, fps=8, enlarge=enlarge)
        return open_video(data, Sampling("all", num_frames=400)).frames

    return change


def as_drawn(frames):
    return frames


def worn(frames):
    """Blurred by a pixel, tinted, noisy, through JPEG 40 at full colour: what an autoencoder may do."""
    rng = np.random.default_rng(frames[0].sum())
    soft = gaussian_filter(frames.astype(np.float32), (0, 1, 1, 0))
    soft += rng.standard_normal(frames.shape) * 8 + rng.uniform(-20, 20, 3)
    return np.stack([_jpeg(f) for f in _bytes(soft)])


def _bytes(frames):
    return np.clip(frames + 0.5, 0, 255).astype(np.uint8)


def _jpeg(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=40, subsampling=0)
    return np.asarray(Image.open(buffer).convert("RGB"))


CHANGES = {"render": as_drawn, "h264": through_h264(1), "h264_enlarged": through_h264(4), "worn": worn}
MIXES = {"drawn": DRAWN, "posted": POSTED_2S}


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize(
    ("change", "count"), [("render", 150), ("h264", 40), ("h264_enlarged", 30), ("worn", 40)]
)
def test_every_attribute_is_read_right(mix, change, count):
    for name, share in shares(scenes(count, MIXES[mix], seed=count), CHANGES[change]).items():
        assert share >= BAR, name


@pytest.mark.slow
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("change", CHANGES)
def test_every_attribute_is_read_right_on_a_thousand_scenes(mix, change):
    for name, share in shares(scenes(1000, MIXES[mix], seed=7), CHANGES[change]).items():
        assert share >= BAR, name


@pytest.mark.slow
def test_clips_of_any_length_are_read_right():
    for name, share in shares(scenes(600, POSTED, seed=3), as_drawn).items():
        assert share >= BAR, name


def told(reading: Reading) -> list[object]:
    """Everything that is said of objects."""
    each = [v for t in reading.things for v in (t.color, t.shape, t.size, t.motion, t.speed, t.event)]
    return [v for v in (*each, reading.count, reading.first, *reading.passes) if v is not None]


def test_noise_is_unknown():
    rng = np.random.default_rng(0)
    shape = (16, 64, 64, 3)
    flat = [np.array(rgb) for rgb in BACKGROUNDS.values()]
    clips = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(25)]
    clips += [np.repeat(rng.integers(0, 256, (1, *shape[1:]), dtype=np.uint8), 16, 0) for _ in range(25)]
    clips += [_bytes(flat[i % 4] + rng.normal(0, rng.uniform(25, 90), shape)) for i in range(25)]
    for i in range(25):
        soft = gaussian_filter(rng.normal(0, 1, shape), (i % 3, 2 + i % 4, 2 + i % 4, 0))
        clips.append(_bytes(127 + 60 * soft / soft.std()))
    assert np.mean([told(read(clip)) == [] for clip in clips]) >= 0.99


def test_a_blank_clip_holds_nothing():
    for name, rgb in BACKGROUNDS.items():
        reading = read(np.full((16, 64, 64, 3), rgb, np.uint8))
        assert (reading.background, reading.count, reading.things) == (name, 0, ())


def test_a_color_that_is_no_background_is_none():
    for rgb in COLORS.values():
        assert read(np.full((16, 64, 64, 3), rgb, np.uint8)) == Reading()


SMEARS = {
    "out of focus": lambda f: gaussian_filter(f, (0, 5, 5, 0)),
    "far out of focus": lambda f: gaussian_filter(f, (0, 8, 8, 0)),
    "streaked sideways": lambda f: uniform_filter1d(f, 18, axis=2),
    "streaked upwards": lambda f: uniform_filter1d(f, 18, axis=1),
    "averaged over time": lambda f: np.repeat(f.mean(0, keepdims=True), len(f), 0),
}


@pytest.mark.parametrize("smear", SMEARS)
def test_a_smear_is_unknown(smear):
    drawn = scenes(200, DRAWN, seed=11)
    if smear == "averaged over time":  # what hardly moves is not smeared by it; growth keeps its shape
        drawn = [s for s in drawn if all(_goes_far(t) for t in s.things)]
    clips = [_bytes(SMEARS[smear](render(s).astype(np.float32))) for s in drawn[:100]]
    assert np.mean([told(read(clip)) == [] for clip in clips]) >= 0.99


def _goes_far(thing: Thing) -> bool:
    return thing.motion in ("circling", "bouncing") or (thing.travels and thing.speed == "fast")


def _still(color: str, x: float, shape: str = "circle", **more) -> Thing:
    return Thing(color, shape, "small", more.pop("motion", "still"), x=x, **more)


def test_two_objects_of_one_color_are_two():
    reading = read(render(Scene((_still("red", -0.25), _still("red", 0.25)), "white")))
    assert reading.count == 2
    assert {thing.color for thing in reading.things} == {"red"}


def test_a_color_outside_the_palette_is_an_object_without_a_color():
    frames = render(Scene((_still("red", -0.25), _still("blue", 0.25)), "white"))
    frames[np.abs(frames.astype(int) - COLORS["blue"]).max(-1) < 100] = (90, 70, 30)
    reading = read(frames)
    assert reading.count == 2
    assert {thing.color for thing in reading.things} == {"red", None}
    assert {thing.shape for thing in reading.things} == {"circle"}


@pytest.mark.parametrize("shape", SHAPES)
def test_positions_and_radii_are_those_of_the_scene(shape):
    thing = Thing("cyan", shape, "large", "right", "fast", pace=0.28, y=0.1)
    scene = Scene((thing,), "black")
    seen = read(render(scene)).things[0]
    state = thing.at(np.arange(16) / 8, scene.duration)
    assert np.abs(seen.x - state.x).max() < 0.01
    assert np.abs(seen.y - state.y).max() < 0.01
    assert np.abs(seen.radius - state.radius).max() < 0.02


def test_the_size_and_rate_of_a_video_do_not_matter():
    thing = Thing("green", "star", "small", next(iter(TRAVELS)), "slow", pace=0.12)
    scene = Scene((thing, _still("orange", 0.2, "ring", y=0.3)), "navy")
    for width, height, fps in ((48, 48, 8), (100, 100, 10), (128, 96, 24), (320, 180, 30)):
        frames = render(scene, width=width, height=height, times=np.arange(2 * fps) / fps)
        reading = read(frames, fps)
        told = {(t.color, t.shape, t.size, t.motion, t.speed) for t in reading.things}
        assert told == {
            ("green", "star", "small", "left", "slow"),
            ("orange", "ring", "small", "still", None),
        }, (width, height, fps)


def test_one_frame_shows_shapes_but_no_motion():
    seen = read(render(Scene((_still("pink", 0.0, "cross"),), "black"), times=np.zeros(1))).things[0]
    assert (seen.color, seen.shape, seen.size, seen.motion) == ("pink", "cross", "small", None)


def test_what_is_no_video_is_refused():
    with pytest.raises(InputError, match="frames must be"):
        read(np.zeros((64, 64, 3), np.uint8))
