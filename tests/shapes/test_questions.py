"""Questions are true, their answers pass the judge, and wrong answers do not."""

import re
from collections import Counter
from itertools import chain, pairwise, permutations

import numpy as np
import pytest

from gpt4video.shapes.language import asking, harm, limits, smalltalk, viewing, wishes, wordings
from gpt4video.shapes.language import drawing as drawing_module
from gpt4video.shapes.language.describe import BARE, CAPTIONS, RELATIONS, SIZE_WORDS, Request, Wanted, pick
from gpt4video.shapes.language.judge import QA, VOCABULARY, Key, facts
from gpt4video.shapes.language.questions import KINDS, judge_answer, questions, sample_question
from gpt4video.shapes.world import COLORS, SHAPES, sample_scene

PARTS = ("training", "validation", "test")


def drawn(seed, n, part="training"):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        scene = sample_scene(rng, part)
        yield scene, questions(scene, rng, part)


@pytest.mark.parametrize("part", PARTS)
def test_every_answer_is_right_by_the_judge(part):
    for _, asked in drawn(1, 120, part):
        for qa in asked:
            assert judge_answer(qa, qa.answer), qa


def test_every_kind_comes_up():
    kinds = Counter(qa.kind for _, asked in drawn(2, 250) for qa in asked)
    assert set(kinds) == set(KINDS)


def test_answers_to_other_questions_are_wrong():
    """Of answers of one kind, only those that say the same pass."""
    by_kind = {}
    for _, asked in drawn(3, 150):
        for qa in asked:
            by_kind.setdefault((qa.kind, qa.key.family), []).append(qa)
    for (kind, family), group in by_kind.items():
        if family in ("nothing", "side", "object", "object_by_color"):
            continue
        for qa, other in pairwise(group):
            same = set(qa.key.right) == set(other.key.right)
            if family == "double":  # an answer about one trait may tell another by the object's name
                same = all(part.right[0] in other.answer for part in qa.key.parts)
            if not same and family not in ("becomes",):
                assert judge_answer(qa, other.answer) is False, (kind, qa, other.answer)


JUDGED = [
    (
        Key("color", ("purple",)),
        "It is violet.",
        ("The circle is red.", "red or purple", "", "It is not purple."),
    ),
    (Key("shape", ("circle",)), "It's a disc", ("A square.", "A circle or a ring.", "I do not know")),
    (
        Key("motion", ("left",)),
        "It moves to the left",
        ("to the right", "It is not moving left", "left and right"),
    ),
    (Key("motion", ("still",)), "It is not moving.", ("It is moving.", "It spins", "It moves left")),
    (
        Key("motion", ("circling",)),
        "It goes in circles",
        ("It is a circle.", "It is spinning", "It moves left"),
    ),
    (Key("motion", ("bouncing",)), "It jumps up and down.", ("It moves up.", "It is still", "It grows")),
    (Key("motion", ("growing",)), "It gets bigger.", ("It gets smaller", "It is big.", "It shrinks")),
    (Key("count", ("two",)), "2", ("There are three objects.", "one or two", "There are 22")),
    (Key("count", ("two",)), "Two: the red one and the blue one.", ("The red one.", "None.", "four")),
    (Key("count", ("zero",)), "There are no circles.", ("There is one circle.", "two", "yes")),
    (Key("size", ("large",)), "It is big", ("It is small.", "small or large", "red")),
    (
        Key("background", ("navy",)),
        "dark blue",
        ("The background is black.", "blue", "a red circle on navy and white"),
    ),
    (Key("background", ("gray",)), "It is grey.", ("white", "a red background", "gray or black")),
    (Key("speed", ("fast",)), "It moves fast", ("slowly", "It moves", "fast and slow")),
    (
        Key("side", ("red", "circle", "left", "blue", "square")),
        "The red circle is left of the blue square.",
        (
            "The red circle is right of the blue square.",
            "The blue square is left of the red circle.",
            "The red circle is above the blue square.",
            "The red square is left of the blue circle.",
        ),
    ),
    (
        Key("side", ("red", "circle", "left", "blue", "square")),
        "The square is on the right of the circle.",
        ("Right.", "The circle is not left of the square", "left or right"),
    ),
    (
        Key("side", ("red", "circle", "left", "blue", "circle")),
        "It is on the left",
        ("on the right", "above"),
    ),
    (
        Key("object", ("red", "circle")),
        "The circle moves first.",
        ("The blue circle.", "The square.", "the red square"),
    ),
    (
        Key("object", ("red", "circle")),
        "The red circle moves before the blue square.",
        ("The blue square moves before the red circle.",),
    ),
    (
        Key("object_by_color", ("red", "circle")),
        "the red one",
        ("The circle.", "The blue one", "the red and the blue one"),
    ),
    (
        Key("double", (), parts=(Key("color", ("red",)), Key("motion", ("left",)))),
        "The star is red. It is moving left.",
        (
            "The star is red.",
            "It is moving left.",
            "The star is red. It is moving right.",
            "The star is blue. It is moving left.",
            "The star is red. It is blue and is moving left.",
            "The star is red. It is moving left. It is blue.",
            "",
        ),
    ),
    (
        Key("double", (), parts=(Key("count", ("two",)), Key("shape", ("ring",)))),
        "There are two and it's a ring",
        ("There are two objects. There are two objects.", "There is one object. It is a ring.", "a ring"),
    ),
    (
        Key("event", ("vanishes", "red", "circle", "red")),
        "The red circle disappears.",
        ("The red circle appears.", "The blue circle disappears.", "Nothing."),
    ),
    (
        Key("event", ("recolors", "red", "circle", "blue")),
        "The red circle turns blue.",
        ("The blue circle turns red.", "The red circle changes color.", "It vanishes"),
    ),
    (
        Key("becomes", ("blue",), ("red",)),
        "The red circle turns blue",
        ("It becomes red", "green", "blue to red"),
    ),
    (Key("yesno", ("yes",)), "Yes, it is.", ("No.", "The circle is red.", "not yes")),
    (Key("yesno", ("no",)), "No, it is blue.", ("Yes, it is not.", "none", "")),
    (
        Key("objects", ("red circle", "blue square")),
        "There is a blue square and a red circle.",
        (
            "There is a red square and a blue circle.",
            "a red circle",
            "a red circle, a blue square and a pink star",
        ),
    ),
    (
        Key("place", ("top", "left")),
        "In the upper left corner",
        ("At the top.", "At the top right.", "in the middle"),
    ),
    (
        Key("difference", ("red", "blue")),
        "First red, then blue.",
        ("The first is blue, the second red.", "red", "red green blue"),
    ),
    (Key("video", ("second",)), "The second one.", ("The first video", "both", "first or second")),
    (Key("nothing", ()), "There is no star.", ("The star is red.",)),
]


@pytest.mark.parametrize(("key", "right", "wrong"), JUDGED)
def test_the_judge_tells_right_from_wrong(key, right, wrong):
    qa = QA("any", "?", right, key)
    assert judge_answer(qa, right)
    for reply in wrong:
        assert not judge_answer(qa, reply), reply


def test_a_description_must_be_right_in_everything():
    request = Request(
        (Wanted("circle", "red", "small", "left", "slow"), Wanted("star", "blue", None, "growing")), "navy"
    )
    good = "A small red circle moving left slowly and a blue star growing on a navy background."
    qa = QA("describe", "?", good, Key("describe", (), request=request))
    assert judge_answer(qa, good)
    assert judge_answer(qa, "On a dark blue background, a blue star growing and a tiny red disc going left.")
    for old, new in (
        ("red", "green"),
        ("circle", "square"),
        ("small", "large"),
        ("small ", ""),
        ("left", "right"),
        ("slowly", "quickly"),
        ("navy", "black"),
        ("growing", "spinning"),
        (" and a blue star growing", ""),
        ("star", "star; the blue star vanishes"),
        ("a blue star", "a pink ring and a blue star"),
    ):
        assert not judge_answer(qa, good.replace(old, new)), new
    assert not judge_answer(qa, "Something on a navy background."), "it names no object at all"


def _visible(scene, when):
    times = np.array([0.0 if when == "start" else scene.duration * 0.999])
    return sum(bool(t.at(times, scene.duration).visible[0]) for t in scene.things)


THERE_IS = re.compile(
    r"(?:is there|do you see|can you see|did you see) an? (\w+) (\w+)( in the video| here| in it)?\??$"
)


def test_what_is_asked_is_true():
    """Facts recomputed from positions and things, by other means than those that made the answers."""
    checked = Counter()
    for scene, asked in drawn(5, 300):
        shapes = [t.shape for t in scene.things]
        times = np.linspace(0, scene.duration, 50)
        for qa in asked:
            key, question = qa.key, qa.question.lower().replace("colour", "color")
            if key.family == "side":
                a, b = (
                    next(t for t in scene.things if (t.color, t.shape) == pair)
                    for pair in (key.right[:2], key.right[3:])
                )
                p, q = a.at(times, scene.duration), b.at(times, scene.duration)
                both = p.visible & q.visible
                gap = {"left": q.x - p.x, "right": p.x - q.x, "above": q.y - p.y, "below": p.y - q.y}
                assert (gap[key.right[2]][both] > 0.05).all(), qa
            elif key.family in ("object", "object_by_color"):
                thing = next(t for t in scene.things if (t.color, t.shape) == key.right)
                assert (shapes.count(thing.shape) == 1) == (key.family == "object")
                if "first" in question and qa.kind == "order" and "last" not in question:
                    assert thing.window[0] == min(t.window[0] for t in scene.things)
                if qa.kind == "size":
                    assert any(w in qa.answer for w in ("smaller", "larger"))
                    rest = [t for t in scene.things if t is not thing]
                    assert all(t.size != thing.size for t in rest)
            elif key.family == "count" and ("start" in qa.answer or "end" in qa.answer):
                number = _visible(scene, "start" if "start" in qa.answer else "end")
                assert key.right == (("zero", "one", "two", "three")[number],)
            elif key.family in ("color", "motion", "shape") and qa.kind == key.family:
                assert any(getattr(t, qa.kind) == key.right[0] for t in scene.things)
            elif key.family == "becomes":
                assert key.right[0] == scene.event.new_color
            elif qa.kind == "yesno" and (words := THERE_IS.search(question)):
                if words[1] in COLORS and words[2] in SHAPES:
                    there = any((t.color, t.shape) == (words[1], words[2]) for t in scene.things)
                    assert key.right == (("yes" if there else "no"),), qa
            else:
                continue
            checked[key.family] += 1
    assert checked["side"] > 30 and checked["color"] > 100 and checked["yesno"] > 2


def test_size_and_speed_are_asked_only_where_they_can_be_seen():
    for scene, asked in drawn(6, 200):
        kinds = {qa.kind for qa in asked}
        assert "size" not in kinds or any(t.sized for t in scene.things)
        assert "speed" not in kinds or any(t.travels for t in scene.things)
        assert ("order" in kinds) == scene.order


def test_yes_and_no_are_equally_likely():
    rng = np.random.default_rng(7)
    said = Counter()
    for _ in range(400):
        scene = sample_scene(rng)
        for _ in range(6):
            said[sample_question(scene, rng, "training", "yesno").key.right[0]] += 1
    assert 0.46 < said["yes"] / said.total() < 0.54


def test_two_questions_in_one_ask_for_every_pair_of_traits_and_give_none_away():
    rng, pairs = np.random.default_rng(9), Counter()
    for _ in range(1500):
        scene = sample_scene(rng, "training")
        qa = sample_question(scene, rng, "training", "double")
        if qa is None:
            continue
        families = [key.family for key in qa.key.parts]
        pairs[min(2, len(scene.things)), *families] += 1
        said = {(f.family, f.value) for f in facts(qa.question)}
        for key in qa.key.parts:
            if key.family in ("color", "shape") and " or " not in qa.question:
                assert (key.family, key.right[0]) not in said, qa
        traits = {"color", "shape", "motion", "size", "speed"}
        if traits >= set(families):
            values = dict(zip(families, (key.right[0] for key in qa.key.parts), strict=True))
            assert any(all(getattr(t, f) == v for f, v in values.items()) for t in scene.things), qa
    for many in (1, 2):
        assert all(pairs[many, a, b] for a, b in permutations(traits, 2)), pairs


def test_one_seed_asks_the_same():
    assert [q for _, q in drawn(8, 20)] == [q for _, q in drawn(8, 20)]


def tables():
    """Every list of sentence templates, by name."""
    for module in (asking, wishes, wordings, viewing, drawing_module, limits, harm):
        for name, value in vars(module).items():
            if not name.isupper() or name in NOT_TEMPLATES:
                continue
            if isinstance(value, dict):
                for key, sub in value.items():
                    yield f"{name}[{key}]", sub
            elif isinstance(value, tuple):
                yield name, value
    yield from ((f"small talk: {k}", v) for k, (v, _) in smalltalk.SMALLTALK.items())
    yield from (("captions", CAPTIONS), ("bare", BARE), *RELATIONS.items())


NOT_TEMPLATES = {
    "COUNT_WORDS",
    "EVENT_OF",
    "LEADS", "NOUNS", "PLACES", "TOPICS", "ODD_COLORS", "GROUPS", "HARM_SHOWN", "HARM_DONE", "REFUSALS",
    "FOLLOWED", "TRAITS", "COLORS", "SHAPES", "SHAPE_WORDS", "COLOR_WORDS", "SURPRISED", "POSTED_TO_COPY",
    "CONTRAST_",
}  # fmt: skip


def test_held_out_templates_are_in_no_training_list():
    for name, table in tables():
        assert len(table) >= 5, name
        training = {t.lower().strip("?.! ") for t in table[:-2]}
        held = [t.lower().strip("?.! ") for t in table[-2:]]
        assert not training & set(held), (name, training & set(held))
        assert held[0] != held[1], name


def test_words_of_held_out_questions_occur_in_training():
    def words(text):
        return set(re.findall(r"[a-z']+", re.sub(r"{\w+}", " ", text.lower())))

    known = set().union(*(words(t) for _, table in tables() for t in table[:-2]))
    known |= {w for form in VOCABULARY for w in form.split()} | {w for v in SIZE_WORDS.values() for w in v}
    unknown = {
        (name, w)
        for name, table in tables()
        if name not in ("FACTS", "SEEN", "bare")
        for t in table[-2:]
        for w in words(t) - known
    }
    assert not unknown


def _pattern(template):
    """What a held-out template looks like when filled."""
    text = re.escape(template.lower().strip("?.! "))
    return re.compile(r"^" + re.sub(r"\\{\w+\\}", r"[a-z' ]+", text) + r"[?.!]*$")


def test_training_never_asks_in_held_out_words():
    held = {
        name: [_pattern(t).pattern for t in table[-2:]] for name, table in tables() if name in vars(asking)
    }
    pattern = re.compile("|".join(chain(*held.values())))
    joined = re.compile("|".join(chain(*(held[name] for name in ("DOUBLE", "TRIPLE", "LISTED")))))
    rng = np.random.default_rng(9)
    for _ in range(400):
        scene = sample_scene(rng)
        for _ in range(50):
            qa = sample_question(scene, rng, "training")
            text = qa.question.lower().replace("colour", "color")
            # Several in one may look like a longer single one.
            assert not (joined if qa.kind == "double" else pattern).match(text), text


def test_held_out_templates_come_up_in_their_own_part_only():
    templates = ("a", "b", "c", "for validation", "for test")
    for part in PARTS:
        rng = np.random.default_rng(10)
        seen = Counter(pick(rng, templates, part) for _ in range(20_000))
        for other in ("validation", "test"):
            share = seen[f"for {other}"] / 20_000
            assert share == 0 if other != part else 0.3 < share < 0.37
