"""A reply ends before the first stop string, and nobody sees half of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt4video.understanding import StopStrings


def shown(pieces, stop):
    watch = StopStrings(stop)
    text = "".join(watch.feed(piece) for piece in pieces)
    return text + watch.close(), watch.found


@pytest.mark.parametrize(
    ("text", "stop", "left", "found"),
    [
        ("Yes.\n\nNo.", ("\n\n",), "Yes.", True),
        ("Yes. No.", ("\n",), "Yes. No.", False),
        ("abcd", ("cd", "b"), "a", True),
        ("aab", ("ab",), "a", True),
        ("ends with a", ("ab",), "ends with a", False),
        ("anything", (), "anything", False),
        ("anything", ("",), "anything", False),
    ],
)
def test_the_reply_ends_before_the_first_stop_string(text, stop, left, found):
    assert shown([text], stop) == (left, found)
    assert shown(list(text), stop) == (left, found)


@given(st.text("ab", max_size=20), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.data())
def test_it_does_not_depend_on_how_the_reply_was_cut(text, stop, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    places = [text.find(word) for word in stop if word in text]
    # Cut finely, the stop string that is complete first ends the reply, even if a longer one began before it.
    ends = [text.find(word) + len(word) for word in stop if word in text]
    left, found = shown(pieces, stop)
    assert found == bool(places)
    assert text.startswith(left)
    assert len(left) >= min(places, default=len(text)) and len(left) <= min(ends, default=len(text))
    assert not any(word in left for word in stop)


def test_half_a_stop_string_is_held_back_until_it_is_none():
    watch = StopStrings(("STOP",))
    assert [watch.feed(piece) for piece in ("go ST", "O", "RK", "!")] == ["go ", "", "STORK", "!"]
