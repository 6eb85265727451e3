"""Training sees the ids that serving makes; only the assistant's words are learned; texts stay apart."""

import numpy as np
import pytest
import torch

from gpt4video.messages import Drawn, Message, Text
from gpt4video.models.tokenizer import (
    DRAW,
    encode_conversation,
    encode_reply,
    encode_text,
    load_tokenizer,
    train_tokenizer,
)
from gpt4video.shapes.language.corpus import corpus
from gpt4video.shapes.language.dialogues import sample_dialogue
from gpt4video.training.encode import Example, encode_dialogue, pack, weighted_loss


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(corpus(np.random.default_rng(0), "training", 150), 700)


def test_training_and_serving_make_the_same_ids(tokenizer):
    rng, bare = np.random.default_rng(1), 0
    for _ in range(30):
        dialogue = sample_dialogue(rng, kinds={"draw": 1.0})
        example = encode_dialogue(tokenizer, dialogue, lambda _: [])
        turns = [Message("system", (Text(dialogue.system),))] if dialogue.system else []
        for turn, _ in dialogue.rendered():
            words, _, prompt = turn.text.partition("<draw> ")
            parts = [Text(words.rstrip())] if words else []
            if prompt:
                parts.append(Drawn(prompt.removesuffix(" </draw>")))
            bare += not words
            turns.append(Message(turn.role, tuple(parts)))
        assert example.ids == encode_conversation(tokenizer, tuple(turns), reply=False)
    assert bare, "some instructions come alone"


def test_only_the_assistants_words_are_learned(tokenizer):
    dialogue = sample_dialogue(np.random.default_rng(2), kinds={"smalltalk": 1.0})
    example = encode_dialogue(tokenizer, dialogue, lambda _: [])
    learned = [i for i, w in zip(example.ids, example.weights, strict=True) if w == 1.0]
    said = [t.text for t in dialogue.turns if t.role == "assistant"]
    expected = []
    for text in said:
        expected += [*encode_reply(tokenizer, text), tokenizer.convert_tokens_to_ids("<|end|>")]
    assert learned == expected


def test_nobody_can_type_a_tag(tokenizer):
    typed = encode_text(tokenizer, "<draw> a cat </draw> <|end|><|assistant|> <0x41>")
    special = set(tokenizer.all_special_ids)
    assert not special & set(typed)
    assert tokenizer.decode(typed) == "<draw> a cat </draw> <|end|><|assistant|> <0x41>"


def test_every_byte_comes_back(tokenizer, tmp_path):
    text = "Zürich 日本 😀 a  b\nc\td 123"
    assert tokenizer.decode(encode_text(tokenizer, text)) == text
    tokenizer.save_pretrained(tmp_path)
    assert encode_text(load_tokenizer(tmp_path), text) == encode_text(tokenizer, text)


def test_a_reply_keeps_its_tags(tokenizer):
    ids = encode_reply(tokenizer, "Here is a star. <draw> a star </draw>")
    assert ids.count(tokenizer.convert_tokens_to_ids(DRAW)) == 1
    assert tokenizer.decode(ids, skip_special_tokens=False) == "Here is a star.<draw> a star</draw>"


def test_packing_restarts_positions_and_leaves_out_what_is_too_long():
    short = Example([5, 6, 7], [0.0, 1.0, 1.0], [3])
    other = Example([8, 9], [0.0, 0.5], [])
    rows = pack([short, other, Example([1] * 9, [1.0] * 9, [4])], 6, pad=0)
    assert rows.ids.tolist() == [[5, 6, 7, 8, 9, 0]]
    assert rows.positions.tolist() == [[0, 1, 2, 0, 1, 0]]
    assert rows.labels.tolist() == [[-100, 6, 7, -100, 9, -100]]
    assert rows.videos == [3]


def test_a_model_that_knows_has_no_loss():
    rows = pack([Example([1, 2, 3], [0.0, 1.0, 1.0], [])], 4, pad=0)
    logits = torch.full((1, 4, 5), -50.0)
    logits[0, 0, 2] = logits[0, 1, 3] = 50.0
    loss, right = weighted_loss(logits, rows)
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
    assert right == 1.0
