"""Notes and drills: what the language model learns of a scene before it sees one."""

from collections import Counter

import numpy as np
import pytest

from gpt4video.checkpoint import EMBEDDED
from gpt4video.models.tokenizer import encode_text, load_tokenizer
from gpt4video.shapes.language.drills import OPPOSITE, drills
from gpt4video.shapes.language.notes import LINES, NOTHING, OBJECTS, PAIRS, PLURALS, notes
from gpt4video.shapes.world import COLORS, SHAPES, Mix, sample_scene


@pytest.fixture
def scenes(rng):
    return [sample_scene(rng, "training") for _ in range(200)]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_every_scene_has_as_many_lines_whatever_is_in_it(scenes):
    assert {len(notes(scene)) for scene in scenes} == {LINES}
    assert {len(scene.things) for scene in scenes} == {1, 2, 3}


def test_one_line_holds_all_of_an_object(scenes):
    for scene in scenes:
        lines = [line for line in notes(scene)[:OBJECTS] if line != NOTHING]
        assert [line[0] for line in lines] == [c for c in COLORS if c in {t.color for t in scene.things}]
        for thing in scene.things:
            (line,) = (line for line in lines if line[0] == thing.color)
            assert {thing.shape, thing.motion} <= set(line)


def test_a_pair_reads_the_other_way_round_from_the_other_side(scenes):
    told = 0
    for scene in scenes:
        lines = dict(zip(PAIRS, notes(scene)[OBJECTS:], strict=False))
        for (a, b), line in lines.items():
            sides = {OPPOSITE[word] for word in line if word in OPPOSITE}
            assert sides == {word for word in lines[b, a] if word in OPPOSITE}
            told += len(sides)
    assert told > 100


def test_the_other_object_has_words_of_its_own():
    # A line is a sum of embeddings: only different tokens keep the two objects of a pair apart.
    tokenizer = load_tokenizer(EMBEDDED / "language_model")
    own = {i for word in (*COLORS, *SHAPES) for i in encode_text(tokenizer, word)}
    other = {i for c in COLORS for i in encode_text(tokenizer, c.capitalize())}
    other |= {i for shape in PLURALS.values() for i in encode_text(tokenizer, shape)}
    assert not own & other


def test_drills_find_objects_and_say_yes_as_often_as_no(rng):
    answers: Counter[str] = Counter()
    for _ in range(150):
        scene = sample_scene(rng, "training", Mix(counts=(0.0, 0.6, 0.4)))
        turns = drills(scene, rng, 8)
        assert len(turns) == 16
        assert [turn.videos for turn in turns] == [(0,), *[()] * 15]
        names = {f"{t.color} {t.shape}" for t in scene.things}
        for answer in (turn.text for turn in turns[1::2]):
            answers[answer if answer in ("yes", "no") else "which" if answer.startswith("a") else "side"] += 1
            if answer.startswith(("a ", "an ")):
                assert answer.split(" ", 1)[1] in names
    assert answers["which"] > 300 and answers["side"] > 50
    assert 0.7 < answers["yes"] / answers["no"] < 1.4
