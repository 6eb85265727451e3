"""Conversations draw what was asked for, refuse what is harmful, and keep to their part."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from gpt4video.shapes.language.changes import add, change, put_aside
from gpt4video.shapes.language.corpus import corpus
from gpt4video.shapes.language.describe import COLOR_WORDS, SHAPE_WORDS, full_request, prompt, request_of
from gpt4video.shapes.language.dialogues import WRITERS, drawing, refuses, sample_dialogue
from gpt4video.shapes.language.judge import judge_answer
from gpt4video.shapes.language.refer import canonical
from gpt4video.shapes.language.requests import allowed, ask_for
from gpt4video.shapes.language.wordings import ASIDE, PUT_DO
from gpt4video.shapes.world import DRAWN, part_of, sample_scene

PARTS = ("training", "validation", "test")


def written(seed, n, part="training", kinds=None):
    rng = np.random.default_rng(seed)
    return [sample_dialogue(rng, part, kinds) for _ in range(n)]


@pytest.fixture(scope="module")
def many():
    return {part: written(1, 350, part) for part in PARTS}


def test_sides_take_turns_and_videos_exist(many):
    for d in (d for ds in many.values() for d in ds):
        assert [t.role for t in d.turns] == ["user", "assistant"] * (len(d.turns) // 2)
        assert all(k < len(d.scenes) for t in d.turns for k in t.videos)
        posted = [k for t in d.turns for k in t.videos]
        assert sorted(posted) == list(range(len(d.scenes)))
        assert all(t.text.strip() and "{" not in t.text for t in d.turns)


PLACES = {"left": ("left_of", 0), "right": ("left_of", 1), "above": ("above", 0), "below": ("above", 1)}
"""The relation that a side asks for, and which of the two objects then stands there."""


def side_in(words, relation):
    """The side that is said in words, of those with a relation."""
    said = {s for s, ways in ASIDE.items() if any(f" {w.split(' {')[0]}" in words for w in ways)}
    return next(s for s in said if PLACES[s][0] == relation)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_added_on_a_side_is_asked_for_there(part):
    rng, met = np.random.default_rng(8), Counter()
    for _ in range(1500):
        request = request_of(sample_scene(rng, part, DRAWN), rng)
        if len(request.things) > 1 or (made := add(request, rng, part)) is None or not made.request.relation:
            continue
        for words in (made.but, made.do):
            side = side_in(words, made.request.relation)
            assert made.request.things[PLACES[side][1]] not in request.things, (words, made.request)
        met[side] += 1
    assert min(met[side] for side in ASIDE) > 20


@pytest.mark.parametrize("part", PARTS)
def test_what_is_put_on_a_side_is_asked_for_there(part):
    rng, met = np.random.default_rng(9), Counter()
    for _ in range(2500):
        request = request_of(sample_scene(rng, part, DRAWN), rng)
        if len(request.things) != 2 or (made := put_aside(request, rng, part)) is None:
            continue
        assert set(made.request.things) == set(request.things) and made.request != request
        assert (made.request.background, allowed(made.request, part)) == (request.background, True)
        for words in (made.but, made.do):
            side = side_in(words, made.request.relation)
            there = made.request.things[PLACES[side][1]]
            # What is put there is named before its side; by shape or colour, in one of their words.
            before = min(words.find(f" {w.split(' {')[0]}") % 999 for w in ASIDE[side])
            named = [t for t in request.things if any(n in words[:before] for n in names(t))]
            assert there in named, (words, made.request)
        met[side] += 1
    assert min(met[side] for side in ASIDE) > 20
    orders = {"put", "place", "let", "draw", "have", "set", "show", "make"}
    assert {template.split()[0] for template in PUT_DO} <= orders


def names(thing):
    """All words for an object's colour and shape."""
    return (*COLOR_WORDS[thing.color], *SHAPE_WORDS[thing.shape])


def test_no_user_types_a_tag_and_only_drawings_hold_one(many):
    bare = Counter()
    for part, turn in ((part, t) for part, ds in many.items() for d in ds for t in d.turns):
        if turn.draws is None:
            assert "draw>" not in turn.text
            assert turn.act != "draw"
            continue
        assert turn.role == "assistant" and turn.act == "draw"
        words = prompt(turn.draws)
        if turn.text == f"<draw> {words} </draw>":
            bare[part] += 1
            assert turn.words == words
            continue
        assert turn.text == drawing(turn.draws)
        assert turn.text == f"Here is {words}. <draw> {words} </draw>"
        assert turn.words == f"Here is {words}."
    assert set(bare) == {"training"}, "elsewhere an instruction never comes alone"


def test_answers_in_conversations_are_right(many):
    judged = [t for ds in many.values() for d in ds for t in d.turns if t.qa]
    assert len(judged) > 300
    for turn in judged:
        assert judge_answer(turn.qa, turn.text), turn


def test_harmful_wishes_are_refused_and_harmless_ones_are_not(many):
    for turn in (t for ds in many.values() for d in ds for t in d.turns if t.role == "assistant"):
        assert refuses(turn.text) == (turn.act == "refuse")
    for d in written(2, 60, kinds={"unsafe": 1.0}):
        assert any(t.act == "refuse" for t in d.turns)
    for d in written(2, 60, kinds={"contrast": 1.0}):
        assert d.turns[-1].act == "draw"


def test_what_is_outside_the_world_is_never_drawn():
    for part in PARTS:
        for d in written(3, 80, part, {"impossible": 1.0}):
            assert any(t.act in ("decline", "answer") for t in d.turns)
    acts = Counter(t.act for d in written(3, 80, kinds={"smalltalk": 1.0}) for t in d.turns)
    assert set(acts) == {None, "chat"}


@pytest.mark.parametrize("part", PARTS)
def test_held_out_triples_keep_to_their_part(many, part):
    own = {"training", part}
    for d in many[part]:
        things = [w for t in d.turns if t.draws for w in t.draws.things]
        things += [thing for scene in d.scenes for thing in scene.things]
        for w in things:
            if w.color and w.motion:
                assert part_of(w.color, w.shape, w.motion) in own


def test_where_tags_are_lost_only_the_last_drawing_is_learned():
    seen = 0
    for d in written(4, 60, kinds={"edit_drawn": 1.0}):
        rendered = list(d.rendered())
        drawn = [(t, learned) for t, learned in rendered if t.draws]
        assert not any(learned for t, learned in rendered if t.role == "user")
        if d.keeps_tags:
            assert all("<draw>" in t.text and learned for t, learned in drawn)
            continue
        for t, learned in drawn:
            assert learned == ("<draw>" in t.text)
            assert prompt(t.draws) in t.text
        assert not any("<draw>" in t.text for t in d.history(len(d.turns)))
        seen += len(drawn) > 1
    assert seen > 10


def test_a_copy_of_a_posted_video_names_all_that_it_shows():
    for d in written(5, 60, kinds={"edit_posted": 1.0}):
        scene, first = d.scenes[0], next(t for t in d.turns if t.draws)
        assert not scene.event and not scene.order
        full = full_request(canonical(scene))
        same = set(full.things) & set(first.draws.things)
        assert first.draws.background and (len(same) >= len(full.things) - 2 or len(full.things) > 1)


def test_a_change_changes_only_what_it_names():
    rng = np.random.default_rng(6)
    for _ in range(300):
        before = request_of(sample_scene(rng, "training", DRAWN), rng)
        text, after = change(before, rng, "training")
        assert text and after != before and allowed(after, "training")
        if len(after.things) == len(before.things):
            kept = max(  # what is put on a side may be named in another order
                sum(
                    getattr(a, f) == getattr(b, f)
                    for a, b in zip(before.things, things, strict=True)
                    for f in ("shape", "color", "motion")
                )
                for things in permutations(after.things)
            )
            assert kept >= 2 * len(before.things) - 1


def test_requests_are_put_in_many_ways():
    rng = np.random.default_rng(7)
    asked = {
        ask_for(request_of(sample_scene(rng, "training", DRAWN), rng), rng, "training") for _ in range(300)
    }
    assert len(asked) > 280


def test_small_talk_declines_and_refusals_vary():
    for kind, least in (("smalltalk", 150), ("impossible", 180), ("unsafe", 180)):
        texts = {t.text for d in written(8, 250, kinds={kind: 1.0}) for t in d.turns if t.role == "user"}
        assert len(texts) > least, kind


def test_every_kind_comes_up(many):
    assert {d.kind for d in many["training"]} == set(WRITERS)


def test_one_seed_writes_the_same():
    assert written(9, 30) == written(9, 30)
    first, again = (list(corpus(np.random.default_rng(3), "training", 40)) for _ in range(2))
    assert first == again and len(first) == 40


def test_the_corpus_puts_descriptions_where_videos_stand():
    texts = list(corpus(np.random.default_rng(4), "training", 120))
    assert any(t.startswith("Video: ") for t in texts)
    assert any("[Video: " in t for t in texts)
    assert any("<draw>" in t and "</draw>" in t for t in texts)
