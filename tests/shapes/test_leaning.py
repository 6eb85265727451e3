"""Turns that lean on what was said before mean what they seem to: checked against the scenes themselves."""

import re
from collections import Counter

import numpy as np
import pytest

from gpt4video.shapes.language import asking, yesno
from gpt4video.shapes.language.changes import only
from gpt4video.shapes.language.describe import full_request, request_of
from gpt4video.shapes.language.dialogues import sample_dialogue
from gpt4video.shapes.language.drawing import wish
from gpt4video.shapes.language.judge import judge_answer
from gpt4video.shapes.language.leaning import ORDINALS, _else, both_in_one, of_nth, other_one, which_video
from gpt4video.shapes.language.limits import (
    EDIT_MOTION,
    EDIT_TWINS,
    NO_BACKGROUND,
    NO_COLOR,
    NO_MOTION,
    NO_TWINS,
    impossible_edit,
)
from gpt4video.shapes.language.loose import TOWARDS
from gpt4video.shapes.language.questions import OF_ONE, double
from gpt4video.shapes.language.refer import canonical, doing
from gpt4video.shapes.language.requests import ask_for
from gpt4video.shapes.language.turns import POSTED_TO_COPY, Talk
from gpt4video.shapes.language.wordings import UNDO
from gpt4video.shapes.world import DRAWN, POSTED, Mix, sample_scene

PARTS = ("training", "validation", "test")


def told(words):
    """Letters and spaces alone, as British people spell."""
    return "".join(c for c in words.lower() if c.isalpha() or c == " ").replace("color", "colour")


def dialogues(n, kind, part="validation", seed=1):
    rng = np.random.default_rng(seed)
    return [sample_dialogue(rng, part, {kind: 1.0}) for _ in range(n)]


@pytest.mark.parametrize("part", PARTS)
def test_who_asks_again_gets_the_same_answer_and_who_doubts_a_yes(part):
    sure, said = ({told(text) for text in table} for table in (asking.SURE, asking.SAID))
    met = Counter()
    for talk in dialogues(400, "leaning", part):
        for before, turn, reply in zip(talk.turns[1:], talk.turns[2:], talk.turns[3:], strict=False):
            if turn.role == "user" and told(turn.text) in sure:
                rest = before.text.removeprefix("Yes, ").removeprefix("No, ")
                assert reply.text == f"Yes, {rest[:1].lower()}{rest[1:]}"
                met["sure"] += 1
            if turn.role == "user" and told(turn.text) in said:
                assert reply.text == before.text
                met["said"] += 1
    assert min(met[k] for k in ("sure", "said")) > 3


def test_the_other_one_is_the_other_one():
    rng, met = np.random.default_rng(2), 0
    for _ in range(300):
        talk = Talk(rng, "training")
        scene = sample_scene(rng, "training", Mix(counts=(0, 1, 0)))
        if not other_one(talk, scene, ()):
            continue
        first, second = (turn.qa for turn in talk.turns[1::2])
        assert second.answer.startswith("The other object is ")
        if first.key.family == second.key.family in ("color", "shape", "motion", "size", "speed"):
            trait = first.key.family
            values = [str(getattr(thing, trait)) for thing in scene.things]
            assert sorted([*first.key.right, *second.key.right]) == sorted(values)
            met += 1
    assert met > 60


def test_another_video_is_asked_the_same():
    met = Counter()
    for talk in dialogues(500, "leaning"):
        turns = talk.turns
        for i, turn in enumerate(turns):
            if turn.role != "user" or turn.videos != (1,):
                continue
            if (qa := turns[i + 1].qa) and qa.kind == "leaning":
                assert qa.key.family == turns[i - 1].qa.key.family
                scene = talk.scenes[1]
                truth = {
                    "background": scene.background,
                    "count": ("one", "two", "three")[len(scene.things) - 1],
                }
                if len(scene.things) == 1 and qa.key.family in ("color", "shape", "motion", "size", "speed"):
                    truth[qa.key.family] = str(getattr(scene.things[0], qa.key.family))
                if qa.key.family in truth:
                    assert qa.key.right == (truth[qa.key.family],)
                    met[qa.key.family] += 1
    assert {"background", "count", "color", "motion"} <= set(met)


def test_which_video_is_the_one_that_is_so():
    rng, met = np.random.default_rng(3), Counter()
    for _ in range(300):
        talk = Talk(rng, "training")
        talk.posts(), talk.posts()
        if not which_video(talk):
            continue
        qa = talk.turns[-1].qa
        n = ORDINALS.index(qa.key.right[0])
        said = qa.answer.removeprefix(f"The {ORDINALS[n]} one ").rstrip(".")
        is_so = [said in truths(scene) for scene in talk.scenes]
        assert is_so == [k == n for k in range(2)], (qa, talk.scenes)
        met[n] += 1
    assert min(met[n] for n in range(2)) > 30


def truths(scene):
    """What may be said of a video."""
    said = {f"has a {scene.background} background"}
    if len(scene.things) == 1:
        [thing] = scene.things
        said |= {f"is {thing.color}", f"is a {thing.shape}", f"is {doing(thing.motion)}"}
    return said


def test_two_videos_are_drawn_as_one_on_the_background_of_the_first():
    rng, met = np.random.default_rng(4), 0
    for _ in range(200):
        talk = Talk(rng, "training")
        talk.posts(POSTED_TO_COPY), talk.posts(POSTED_TO_COPY)
        if (request := both_in_one(talk)) is None:
            continue
        shown = [full_request(canonical(scene)) for scene in talk.scenes]
        assert request.things == tuple(r.things[0] for r in shown)
        assert request.background == shown[0].background and request.relation is None
        met += 1
    assert met > 20


def test_only_one_of_several_stays():
    rng, met = np.random.default_rng(5), 0
    for _ in range(200):
        request = request_of(sample_scene(rng, "training", DRAWN), rng)
        made = only(request, rng, "training")
        assert (made is None) == (len(request.things) == 1)
        if made is not None:
            assert len(made.request.things) == 1 and made.request.things[0] in request.things
            assert (made.request.background, made.request.relation) == (request.background, None)
            met += 1
    assert met > 50


def test_undoing_draws_what_stood_before_the_change():
    words, met = {told(text) for text in UNDO}, 0
    for talk in dialogues(600, "edit_drawn", seed=6):
        drawn = []
        for said, reply in zip(talk.turns[::2], talk.turns[1::2], strict=True):
            if told(said.text) in words:
                assert reply.draws == drawn[-2] != drawn[-1]
                met += 1
            drawn += [reply.draws] if reply.draws else []
    assert met > 10


def test_three_questions_in_one_have_three_answers():
    rng, met = np.random.default_rng(7), 0
    for _ in range(2000):
        qa = double(sample_scene(rng, "training", POSTED), rng, "training")
        if qa and len(qa.key.parts) == 3:
            assert len({part.family for part in qa.key.parts}) == 3 and qa.answer.count(".") == 3
            met += 1
    assert met > 50


ORDER = {"small": 0, "large": 1, "slow": 0, "fast": 1}
COMPARED = re.compile(r"\b(smaller|larger|bigger|slower|faster|quicker)\b")
OF_SIZE = {"smaller", "larger", "bigger"}
UP = {"larger", "bigger", "faster", "quicker"}


def test_what_is_bigger_or_faster_is_told_by_the_scene():
    rng, met = np.random.default_rng(8), Counter()
    for _ in range(6000):
        scene = sample_scene(rng, "training", Mix(counts=(0, 1, 0)))
        if qa := yesno.is_more_of(scene, rng, "training"):
            trait = "size" if re.search("small|large", qa.answer) else "speed"
            values = {getattr(t, trait) for t in scene.things}
            yes, same = qa.key.right == ("yes",), "both are" in qa.answer
            assert same == (len(values) == 1) and not (same and yes)
            if not same:
                [said] = COMPARED.findall(qa.answer)
                asked = next(
                    w for w in reversed(COMPARED.findall(qa.question)) if (w in OF_SIZE) == (said in OF_SIZE)
                )
                assert yes == ((asked in UP) == (said in UP))
                # The object that is spoken of, where its answer names it by a trait that it alone has.
                named = [t for t in scene.things if f"the {t.shape} is" in qa.answer.lower().split(", ")[1]]
                if len(named) == 1:
                    other = next(t for t in scene.things if t is not named[0])
                    is_more = ORDER[getattr(named[0], trait)] > ORDER[getattr(other, trait)]
                    assert is_more == (said in UP)
            met["same" if same else qa.key.right[0]] += 1
        if qa := yesno.any_moves(scene, rng, "training"):
            still = all(t.motion == "still" for t in scene.things)
            assert qa.key.right == ("no" if still else "yes",)
            met["still" if still else "moves"] += 1
    assert min(met[k] for k in ("yes", "no", "same", "still", "moves")) > 10
    assert 0.35 < met["yes"] / (met["yes"] + met["no"] + met["same"]) < 0.65


def test_two_of_a_shape_may_be_asked_for_together():
    rng, met = np.random.default_rng(9), Counter()
    meeting = {told(words) for words in TOWARDS}
    for _ in range(2500):
        request = wish(Talk(rng, "training"))
        words = told(ask_for(request, rng, "training"))
        if any(way in words for way in meeting):
            a, b = request.things
            assert a.shape == b.shape and a.size == b.size and (a.motion, b.motion) == ("right", "left")
            met["meet"] += 1
        elif re.search(r"\b(two|pair of)\b", words) and not re.search(r"\b(objects|shapes|things)\b", words):
            assert len({(w.shape, w.size, w.motion, w.speed) for w in request.things}) == 1
            met["alike"] += 1
    assert min(met[k] for k in ("meet", "alike")) > 3


@pytest.mark.parametrize("part", PARTS)
def test_changes_beyond_the_world_are_declined_for_what_they_ask(part):
    rng = np.random.default_rng(10)
    asks = {NO_MOTION: EDIT_MOTION, NO_TWINS: EDIT_TWINS}
    met = Counter()
    for objects in (1, 2, 3):
        for _ in range(300):
            said, reply = impossible_edit(rng, part, objects)
            met[reply] += 1
            for answer, table in asks.items():
                assert (reply == answer) == (said in table), (said, reply)
            if "background" in said:
                assert reply == NO_BACKGROUND
            assert reply != NO_TWINS or objects == 1
    assert min(met[r] for r in (NO_BACKGROUND, NO_COLOR, NO_MOTION, NO_TWINS)) > 15


def test_whether_there_is_more_is_told_by_the_scene():
    rng, met = np.random.default_rng(11), Counter()
    for _ in range(1500):
        scene = sample_scene(rng, "training", Mix(counts=(0.5, 0.5, 0), events=0.0))
        asked = OF_ONE[list(OF_ONE)[int(rng.integers(3))]](scene, rng, "training", 0, None)
        if asked is None or (qa := _else(scene, asked, rng, "training")) is None:
            continue
        alone, words = len(scene.things) == 1, told(qa.question)
        kind = next(k for k, table in ELSES.items() if words in {told(text) for text in table})
        more = {"any": ("No", "Yes"), "all": ("Yes", "No"), "what": ("Nothing else", "There is also")}[kind]
        assert qa.answer.startswith(more[0 if alone else 1]) and judge_answer(qa, qa.answer)
        if not alone:
            other = scene.things[1]
            assert f"also a {other.color} {other.shape}" in qa.answer.replace("an orange", "a orange")
        met[kind, alone] += 1
    assert len(met) == 6 and min(met.values()) > 10


ELSES = {"any": asking.ANYTHING_ELSE, "all": asking.THAT_ALL, "what": asking.WHAT_ELSE}


def test_the_first_one_and_the_second_are_those_videos():
    rng, met = np.random.default_rng(12), Counter()
    for _ in range(300):
        talk = Talk(
            rng, "training", lambda *_: sample_scene(rng, "training", Mix(counts=(1, 0, 0), events=0.0))
        )
        talk.posts(), talk.posts()
        n = int(rng.integers(2))
        if qa := of_nth(talk, n):
            assert ORDINALS[n] in qa.question and ORDINALS[1 - n] not in qa.question
            assert qa.key.right == (str(getattr(talk.scenes[n].things[0], qa.key.family)),)
            met[n, qa.key.family] += 1
    assert len(met) == 10
