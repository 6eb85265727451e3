"""Training reads messages as people type them; nothing that is asked for changes with the typing."""

import numpy as np
import pytest

from gpt4video.shapes.language.describe import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    MOTION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    SPEED_WORDS,
    prompt,
    request_of,
)
from gpt4video.shapes.language.dialogues import sample_dialogue
from gpt4video.shapes.language.loose import ADVERBS, BEFORE, HASTE, PACED, WAYS, phrased, whole
from gpt4video.shapes.language.refer import VERBS, gerund, third
from gpt4video.shapes.language.requests import ask_for
from gpt4video.shapes.language.rough import KEPT, LONG, misspelled, rough
from gpt4video.shapes.language.turns import Talk, drawing
from gpt4video.shapes.world import DRAWN, TRAVELS, sample_scene
from tests.shapes.test_questions import tables

QUESTION = "Can you tell me what's the color of the small square?"
WORLD = {
    word
    for table in (SHAPE_WORDS, COLOR_WORDS, SIZE_WORDS, BACKGROUND_WORDS, MOTION_WORDS, SPEED_WORDS, VERBS)
    for forms in table.values()
    for form in forms
    for word in form.split()
} | {f"{form}s" for forms in SHAPE_WORDS.values() for form in forms if form[-1] != "s"}
"""All words that mean something in a scene."""


def test_some_messages_stay_as_they_are_and_the_others_vary():
    rng = np.random.default_rng(0)
    typed = [rough(rng, QUESTION) for _ in range(2000)]
    assert 0.45 < typed.count(QUESTION) / len(typed) < 0.65
    assert len(set(typed)) > 250
    assert any(t.islower() and t[-1].isalpha() for t in typed)
    assert any("whats" in t.lower() for t in typed)
    assert any("thanks" in t.lower() for t in typed) and any(t.lower().startswith("hi") for t in typed)


def test_one_seed_types_the_same():
    first, again = ([rough(np.random.default_rng(k), QUESTION) for k in range(300)] for _ in range(2))
    assert first == again


def test_a_slip_makes_no_other_word_of_the_world():
    rng = np.random.default_rng(1)
    for word in sorted(w for w in WORLD if len(w) >= LONG and w not in KEPT):
        slips = {misspelled(rng, word) for _ in range(80)}
        assert all(s[0] == word[0] and s[-1] == word[-1] for s in slips)
        assert not (slips - {word}) & WORLD, word


def test_short_messages_get_no_courtesies():
    rng = np.random.default_rng(2)
    for _ in range(500):
        assert rough(rng, "Fine friend").lower().count(" ") == 1


@pytest.mark.parametrize("part", ["validation", "test"])
def test_held_out_parts_are_typed_as_they_are_written(part):
    talk = Talk(np.random.default_rng(3), part)
    before = talk.rng.bit_generator.state
    for _ in range(50):
        talk.says(QUESTION)
    assert {t.text for t in talk.turns} == {QUESTION}
    assert talk.rng.bit_generator.state == before


def test_the_assistant_is_never_typed_roughly():
    rng = np.random.default_rng(4)
    for _ in range(150):
        for turn in sample_dialogue(rng).turns:
            if turn.draws is not None:
                assert turn.text in (drawing(turn.draws), f"<draw> {prompt(turn.draws)} </draw>")
            elif turn.qa is not None:
                assert turn.text == turn.qa.answer
            elif turn.role == "assistant":
                assert turn.text[0].isupper() and turn.text[-1] in '.!?"'


def test_rough_typing_makes_no_held_out_phrasing():
    rng = np.random.default_rng(5)
    for name, table in tables():
        held = {t.lower().strip("?.! ") for t in table[-2:]}
        for template in table[:-2]:
            typed = {rough(rng, template).lower().strip("?.! ") for _ in range(6)}
            assert not typed & held, (name, typed & held)


def _forms(motion):
    verbs = VERBS[motion]
    forms = [
        *MOTION_WORDS[motion],
        *verbs,
        *(third(v) for v in verbs),
        *map(gerund, verbs),
        *BEFORE.get(motion, ()),
    ]
    return forms + list(WAYS.get(motion, ())) + ([motion] if motion in TRAVELS else [])


def test_loose_grammar_says_all_that_is_asked_for():
    """Every trait of every object has its word in the message, whatever the order."""
    rng = np.random.default_rng(6)
    for _ in range(500):
        request = request_of(sample_scene(rng, "training", DRAWN), rng)
        said = [ask_for(request, rng, "training"), phrased(request, rng, "training")]
        text = whole(request, rng, "training")
        for index, message in enumerate([*said, text or said[0]]):
            words = message.lower().replace("grey", "gray")
            assert "{" not in words
            for w in request.things:
                assert any(f in words for f in (*SHAPE_WORDS[w.shape], "object", "thing", "shape")), message
                assert w.color is None or any(f in words for f in COLOR_WORDS[w.color]), message
                assert w.size is None or any(f in words for f in SIZE_WORDS[w.size]), message
                if w.motion is not None:
                    # A speed may stand inside: "moving slowly left", "zooming left".
                    plain = words
                    for adverb in ("very slowly ", "slowly ", "quickly ", "rapidly "):
                        plain = plain.replace(adverb, "")
                    assert any(f in plain for f in _forms(w.motion)), message
                if w.speed is not None:
                    paces = (*SPEED_WORDS[w.speed], *PACED[w.speed], *HASTE[w.speed], *ADVERBS[w.speed])
                    assert any(f in words for f in paces), message
            if request.background is not None and index != 1:
                assert any(
                    f.replace("grey", "gray") in words for f in BACKGROUND_WORDS[request.background]
                ), message


def test_a_relation_is_never_said_the_wrong_way_round():
    rng = np.random.default_rng(7)
    seen = 0
    while seen < 60:
        request = request_of(sample_scene(rng, "training", DRAWN), rng)
        if request.relation not in ("left_of", "above") or len({w.shape for w in request.things}) < 2:
            continue
        text = phrased(request, rng, "training").lower()
        first = min(
            (text.find(f), k) for k, w in enumerate(request.things) for f in SHAPE_WORDS[w.shape] if f in text
        )[1]
        for k, forms in ((0, (" left of ", " above ")), (1, (" right of ", " below ", " under "))):
            if any(text.count(f"{f}a") for f in forms) and "it" not in text.split():
                assert first == k, text
                seen += 1
