"""A stream of token ids as a stream of text: whole characters only, and of the tags only the instruction's.

    ids      Ci   rc   le   <0xF0>  <0x9F>  <0x99>  <0x82>   <draw>   ▁a
    text    "Ci" "rc" "le"    ""      ""      ""     "🙂"    "<draw>"  " a"

A tokenizer decodes a token by its neighbours (the first word loses its space, bytes join to characters), so
each step decodes a short window twice, without and with what is new, and shows the difference.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gpt4video.instruction import CLOSE, OPEN

BROKEN = "\ufffd"
"""What tokenizers put for bytes that are not, or not yet, a character."""


class Detokenizer:
    """One reply, token by token: `feed` every id; what `feed` gives, joined, is the reply's text.

    It equals the tokenizer's own decoding of all ids at once, but for bytes at the end that never became a
    character: those are not shown.
    """

    def __init__(self, tokenizer: Any, kept: Collection[str] = (OPEN, CLOSE)) -> None:
        """`kept` are the special tokens that belong to the text."""
        self._tokenizer = tokenizer
        kept_ids = {tokenizer.convert_tokens_to_ids(tag) for tag in kept}
        self._hidden = frozenset(tokenizer.all_special_ids) - kept_ids
        self._ids: list[int] = []
        self._shown = 0  # how many of `_ids` have been shown; those are kept as context

    def feed(self, id: int) -> str:
        """The new text that this token makes certain; often empty."""
        if id in self._hidden:
            return ""
        self._ids.append(id)
        before, now = self._decode(self._ids[: self._shown]), self._decode(self._ids)
        if len(now) <= len(before) or now.endswith(BROKEN):
            return ""
        self._ids, self._shown = self._ids[self._shown :], len(self._ids) - self._shown
        return now[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text
