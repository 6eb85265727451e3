"""The stream of text equals the whole decoded at once, and never holds half a character."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt4video.models.tokenizer import encode_reply
from gpt4video.understanding import Detokenizer
from tests import tiny

TOKENIZER = tiny.tokenizer()


def streamed(ids):
    text = Detokenizer(TOKENIZER)
    return [text.feed(id) for id in ids]


def whole(ids):
    return TOKENIZER.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize(
    "text",
    [
        "A red circle moves to the left.",
        "Here it is: <draw> a blue square </draw> Anything else?",
        "naïve café 🙂🙃 日本語 \u2028 e\u0301",
        "<draw> 🙂 </draw>",
        "line\nline\n\n  two  spaces",
        "12345 ... !?",
    ],
)
def test_the_stream_equals_the_whole(text):
    ids = encode_reply(TOKENIZER, text)
    assert "".join(streamed(ids)) == whole(ids)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_survives_the_stream(text):
    ids = encode_reply(TOKENIZER, text)
    assert "".join(streamed(ids)) == whole(ids)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=30))
def test_any_tokens_at_all_give_whole_characters_and_no_foreign_tags(ids):
    text = "".join(streamed(ids))
    text.encode("utf-8")
    assert "<|" not in text or any("<" in TOKENIZER.convert_ids_to_tokens(id) for id in ids)
    for tag in ("<|end|>", "<|user|>", "<|video|>", "<|pad|>"):
        assert tag not in text


def test_a_character_comes_with_its_last_byte():
    ids = encode_reply(TOKENIZER, "𝄞")
    pieces = [piece for piece in streamed(ids) if piece]
    assert len(ids) >= 4
    assert pieces[-1].endswith("𝄞") and "\ufffd" not in "".join(pieces)


def test_bytes_that_never_become_a_character_are_not_shown():
    ids = encode_reply(TOKENIZER, "red 𝄞")[:-1]
    assert "".join(streamed(ids)).strip() == "red"


def test_instruction_tags_are_text_and_other_tags_are_nothing():
    tags = ["<|assistant|>", "<draw>", "<|video|>", "</draw>", "<|end|>"]
    assert streamed(TOKENIZER.convert_tokens_to_ids(tags)) == ["", "<draw>", "", "</draw>", ""]
