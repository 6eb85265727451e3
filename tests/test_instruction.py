"""The instruction protocol: what is heard never depends on how the reply was cut, and tags never show."""

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt4video.instruction import CLOSE, OPEN, Instruction, InstructionParser, Malformed, render, strip_tags

ATOMS = [OPEN, CLOSE, "<", "</", "<dr", "draw>", ">", " ", "a red circle", "\n", "1 < 2", "ü", "<<draw>"]
HALVES = tuple(tag[:n] for tag in (OPEN, CLOSE) for n in range(2, len(tag)))
replies = st.lists(st.sampled_from(ATOMS) | st.text(max_size=5), max_size=12).map("".join)


def hear(pieces):
    parser = InstructionParser()
    joined = []
    for heard in [h for piece in pieces for h in parser.feed(piece)] + parser.close():
        if isinstance(heard, str) and joined and isinstance(joined[-1], str):
            joined[-1] += heard
        else:
            joined.append(heard)
    return joined


@given(replies, st.lists(st.integers(0, 80), max_size=10))
def test_the_split_does_not_depend_on_how_the_reply_was_cut(reply, cuts):
    edges = [0, *sorted(min(c, len(reply)) for c in cuts), len(reply)]
    pieces = [reply[a:b] for a, b in itertools.pairwise(edges)]
    assert hear(pieces) == hear([reply]) == hear(reply)


@given(replies, st.lists(st.integers(0, 80), max_size=10))
def test_a_tag_never_shows_not_even_half_of_one(reply, cuts):
    edges = [0, *sorted(min(c, len(reply)) for c in cuts), len(reply)]
    heard = hear([reply[a:b] for a, b in itertools.pairwise(edges)])
    assert not any(tag in h for h in heard if isinstance(h, str) for tag in (OPEN, CLOSE))
    if heard and isinstance(heard[-1], str):
        assert not heard[-1].endswith(HALVES)


@given(st.text())
def test_words_without_tags_come_out_unchanged(reply):
    if not any(s in reply for s in (OPEN, CLOSE, "<d", "</")):
        assert "".join(hear([reply])) == reply


@given(st.text())
def test_a_rendered_prompt_is_heard_again(prompt):
    cleaned = strip_tags(prompt).strip()
    assert hear([render(prompt)]) == [Instruction(cleaned) if cleaned else Malformed("empty")]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Hello.", ["Hello."]),
        ("Here: <draw> a red circle </draw> Done.", ["Here: ", Instruction("a red circle"), " Done."]),
        ("<draw>a</draw><draw>b</draw>", [Instruction("a"), Instruction("b")]),
        ("So <draw> a red", ["So ", Malformed("unclosed")]),
        ("So <dra", ["So ", Malformed("unclosed")]),
        ("So <draw> a </dra", ["So ", Malformed("unclosed")]),
        ("<draw> a <draw> b </draw> c", [Malformed("nested"), " c"]),
        ("<draw> a <draw> b <draw> c", [Malformed("nested")]),
        ("a </draw> b", ["a ", Malformed("stray_close"), " b"]),
        ("<draw>  \n</draw>", [Malformed("empty")]),
        ("1 < 2 and <b>bold</b> <DRAW> <", ["1 < 2 and <b>bold</b> <DRAW> <"]),
        ("", []),
    ],
)
def test_a_reply_is_split_into_words_instructions_and_mistakes(reply, expected):
    assert hear([reply]) == expected


def test_words_leave_at_once_and_only_a_possible_tag_is_held_back():
    parser = InstructionParser()
    assert parser.feed("Hello") == ["Hello"]
    assert parser.feed(" 1 <") == [" 1 "]
    assert parser.feed(" 2") == ["< 2"]
    assert parser.feed(" </dr") == [" "]
    assert parser.feed("ink") == ["</drink"]


def test_an_instruction_is_heard_with_its_last_character():
    parser = InstructionParser()
    assert parser.feed("<draw> a circle </draw") == []
    assert parser.feed(">") == [Instruction("a circle")]


def test_stripping_tags_leaves_none_behind():
    assert strip_tags("<dr<draw>aw> x </dr</draw>aw>") == "<dr aw> x </dr aw>"


def test_the_protocol_is_light_to_import():
    code = "import gpt4video.instruction, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
