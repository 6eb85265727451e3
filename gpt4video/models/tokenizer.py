"""Words to ids and back: BPE with byte fallback, and a chat template in which nobody can type a tag.

    <|bos|> <|user|> <|video|> What moves? <|end|> <|assistant|> The red circle. <|end|> …

Everything people write is encoded with special tokens split into plain characters: `<draw>` typed by a user
is six ordinary pieces, never the instruction tag. Every word carries its leading space, so a reply is the
same ids however it was cut into segments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from gpt4video.messages import Conversation, Drawn, Posted, Text

BOS, EOS, PAD = "<|bos|>", "<|eos|>", "<|pad|>"
SYSTEM, USER, ASSISTANT, END = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
VIDEO, DRAW, DRAWN = "<|video|>", "<draw>", "</draw>"
SPECIAL = (PAD, BOS, SYSTEM, USER, ASSISTANT, END, VIDEO, DRAW, DRAWN, EOS)
SPACE = "\u2581"
ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A BPE tokenizer of at most `vocab_size` ids: the special tokens, then the bytes, then words."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
            pre_tokenizers.Split(Regex(r"[^\w\u2581]|\d"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL, *bytes_],
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return as_fast(_bytes_unspecial(tokenizer, bytes_))


def _bytes_unspecial(tokenizer: Tokenizer, bytes_: list[str]) -> Tokenizer:
    """The same tokenizer whose byte tokens are ordinary entries: nobody can type `<0x41>` as one token."""
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["content"] not in set(bytes_)]
    return Tokenizer.from_str(json.dumps(data))


def as_fast(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers saves and opens it."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT, END, VIDEO, DRAW, DRAWN],
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerFast:
    """Open a saved tokenizer."""
    return PreTrainedTokenizerFast.from_pretrained(str(path), local_files_only=True)


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Ids of plain words; tags in it are split into characters. Outer white space does not count."""
    text = text.strip()
    if not text:
        return []
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return ids


def encode_reply(tokenizer: Any, text: str) -> list[int]:
    """Ids of the assistant's own words, in which `<draw>` and `</draw>` are the instruction tags."""
    ids: list[int] = []
    rest = text
    while rest:
        at, tag = min(((rest.find(t), t) for t in (DRAW, DRAWN) if t in rest), default=(len(rest), ""))
        ids += encode_text(tokenizer, rest[:at])
        if tag:
            ids.append(tokenizer.convert_tokens_to_ids(tag))
        rest = rest[at + len(tag) :]
    return ids


def encode_conversation(tokenizer: Any, conversation: Conversation, *, reply: bool = True) -> list[int]:
    """Ids of a conversation, one `<|video|>` for each posted clip; with `reply`, ready for the answer.

    The videos of a turn stand before its words, in the order in which they were posted. A `Drawn` part of an
    assistant's turn becomes its instruction again.
    """
    token = tokenizer.convert_tokens_to_ids
    ids = [token(BOS)]
    for message in conversation:
        ids.append(token(ROLES[message.role]))
        # Videos first, wherever they were posted: who reads the words then knows what they are about.
        for part in sorted(message.parts, key=lambda part: not isinstance(part, Posted)):
            if isinstance(part, Text):
                ids += encode_text(tokenizer, part.text)
            elif isinstance(part, Posted):
                ids.append(token(VIDEO))
            elif isinstance(part, Drawn):
                ids += [token(DRAW), *encode_text(tokenizer, part.prompt), token(DRAWN)]
        ids.append(token(END))
    if reply:
        ids.append(token(ASSISTANT))
    return ids
