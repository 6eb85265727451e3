"""Pools are made once, the same from the same seed, and look like what the service sees."""

import numpy as np
import pytest

from gpt4video.shapes.world import FOREIGN, part_of
from gpt4video.training import data
from gpt4video.training.data import Pool, post


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(data, "SHARD", 6)


def test_a_pool_is_the_same_from_the_same_seed(tmp_path):
    a = Pool.make(tmp_path / "a", "training", 12)
    b = Pool.make(tmp_path / "b", "training", 12)
    assert len(a) == len(b) == 12
    assert all(np.array_equal(a.frames(i), b.frames(i)) for i in range(12))
    assert a.scenes == b.scenes


def test_a_pool_grows_without_changing(tmp_path):
    first = Pool.make(tmp_path, "training", 6)
    before = first.frames(3).copy()
    assert np.array_equal(Pool.make(tmp_path, "training", 12).frames(3), before)


def test_foreign_clips_stand_beside_the_others(tmp_path):
    pool = Pool.make(tmp_path, "training", 6)
    both = pool + Pool.make(tmp_path, "training", 12, mix=FOREIGN)
    assert len(both) == 18 and [s.foreign is None for s in both.scenes] == [True] * 6 + [False] * 12
    assert np.array_equal(both.frames(3), pool.frames(3))
    assert both.name != Pool.make(tmp_path, "training", 18).name  # what is computed of one is not the other's
    assert both.frames(9).std() > 0 and (both.counts > 0).all() and len(both.times) == 18


def test_training_clips_hold_no_held_out_triple(tmp_path):
    pool = Pool.make(tmp_path, "training", 12)
    for scene in pool.scenes:
        assert all(part_of(t.color, t.shape, t.motion) == "training" for t in scene.things)


def test_posted_clips_fit_the_encoder():
    rng = np.random.default_rng(0)
    scene = data.sample_scene(rng)
    frames, times, aspect = post(scene, rng)
    assert 9 / 16 - 0.01 <= aspect <= 16 / 9 + 0.01
    assert frames.shape[1:] == (64, 64, 3)
    assert len(frames) == len(times) <= data.NUM_FRAMES
    assert (np.diff(times) > 0).all()
