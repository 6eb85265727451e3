"""Videos of anything else: painted for every part from kinds of its own, and never described."""

from itertools import chain

import numpy as np
import pytest

from gpt4video.shapes.foreign import KINDS, PAINTERS, Foreign, paint, sample_foreign
from gpt4video.shapes.language.dialogues import sample_dialogue
from gpt4video.shapes.language.leaning import ORDINALS
from gpt4video.shapes.language.limits import UNKNOWN_VIDEO
from gpt4video.shapes.language.notes import LINES, notes
from gpt4video.shapes.render import render
from gpt4video.shapes.world import FOREIGN, POSTED, sample_scene
from gpt4video.training.facts import UNKNOWN, facts_of

TIMES = np.array([0.0, 0.4, 1.9])


@pytest.mark.parametrize("kind", PAINTERS)
def test_a_kind_fills_the_frame_and_one_seed_paints_the_same(kind):
    for width, height in ((64, 64), (200, 90), (31, 97)):
        frames = paint(Foreign(kind, 3), TIMES, width, height)
        assert frames.shape == (3, height, width, 3)
        assert np.isfinite(frames).all() and frames.min() >= 0 and frames.max() <= 255
        assert (frames == paint(Foreign(kind, 3), TIMES, width, height)).all()
        assert (frames[1:] == paint(Foreign(kind, 3), TIMES[1:], width, height)).all()
        assert np.abs(frames - paint(Foreign(kind, 4), TIMES, width, height)).mean() > 3
        assert frames.std((1, 2)).max() > 2, "a picture, no plain ground"


def test_every_part_shows_kinds_of_its_own():
    assert sorted(chain(*KINDS.values())) == sorted(PAINTERS)
    rng = np.random.default_rng(0)
    for part, kinds in KINDS.items():
        assert {sample_foreign(rng, part).kind for _ in range(200)} == set(kinds)


def test_only_a_mix_that_says_so_is_foreign_and_has_no_facts():
    rng = np.random.default_rng(1)
    assert all(sample_scene(rng, "training", POSTED).foreign is None for _ in range(50))
    scene = sample_scene(rng, "training", FOREIGN)
    assert scene.foreign is not None and scene.things == () and 1.0 <= scene.duration <= 6.0
    assert render(scene, width=40, height=30, times=TIMES).shape == (3, 30, 40, 3)
    lines = notes(scene)
    assert len(lines) == LINES and ("unknown", "zero") in lines
    facts = facts_of([scene])
    assert facts.present.sum() == 0 and facts.background.tolist() == [UNKNOWN]


@pytest.mark.parametrize("part", KINDS)
def test_whatever_is_asked_of_a_foreign_video_is_declined_and_others_are_answered(part):
    rng = np.random.default_rng(2)
    for _ in range(60):
        talk = sample_dialogue(rng, part, {"foreign": 1.0})
        assert sum(scene.foreign is not None for scene in talk.scenes) == 1
        newest = None
        for said, reply in zip(talk.turns[::2], talk.turns[1::2], strict=True):
            newest = talk.scenes[said.videos[-1]] if said.videos else newest
            if reply.act in ("chat", "draw"):
                continue
            about = newest
            if len(talk.scenes) > 1 and not said.videos:
                if part == "training":
                    continue  # an ordinal may be misspelled there
                nth = [k for k, word in enumerate(ORDINALS) if word in said.text]
                about = talk.scenes[nth[0]] if nth else newest
            foreign = about is not None and about.foreign is not None
            assert (reply.text == UNKNOWN_VIDEO) == foreign, (said, reply)
