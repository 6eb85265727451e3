"""Dialogues as ids and weights, packed into rows.

Every turn is encoded as the service encodes it, so training and serving see the same ids. A posted video is a
run of `<|video|>` ids, one for each soft token, that the caller replaces by embeddings; or, before any frame
has been seen, a description of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gpt4video.models.tokenizer import ASSISTANT, BOS, END, SYSTEM, USER, VIDEO, encode_reply, encode_text
from gpt4video.shapes.language.dialogues import Dialogue

ROLES = {"user": USER, "assistant": ASSISTANT}


@dataclass
class Example:
    """One conversation: `ids`, the `weight` of predicting each, and the scenes its video runs stand for."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    videos: list[int] = field(default_factory=list)

    def add(self, ids: list[int], weight: float) -> None:
        """Append ids that are learned with this weight."""
        self.ids += ids
        self.weights += [weight] * len(ids)


def encode_dialogue(
    tokenizer: Any, dialogue: Dialogue, show: Callable[[int], list[int]], *, others: float = 0.0
) -> Example:
    """A conversation in which scene `k` is shown as `show(k)`; `others` weighs what people say."""
    token = tokenizer.convert_tokens_to_ids
    example = Example()
    example.add([token(BOS)], 0.0)
    if dialogue.system:
        example.add([token(SYSTEM), *encode_text(tokenizer, dialogue.system), token(END)], 0.0)
    for turn, learned in dialogue.rendered():
        example.add([token(ROLES[turn.role])], 0.0)
        words = (
            encode_text(tokenizer, turn.text) if turn.role == "user" else encode_reply(tokenizer, turn.text)
        )
        weight = 1.0 if learned else others
        for scene in turn.videos:
            example.add(show(scene), 0.0)
            example.videos.append(scene)
        example.add(words, weight)
        example.add([token(END)], weight if turn.role == "assistant" else 0.0)
    return example


def run_of_soft_tokens(tokenizer: Any, count: int) -> list[int]:
    """The ids that stand for one video until its soft tokens take their place."""
    return [tokenizer.convert_tokens_to_ids(VIDEO)] * count


@dataclass(frozen=True)
class Rows:
    """Packed examples: ids, position_ids, labels (-100 is not learned) and weights, all (R, L).

    `videos` holds the examples' videos in the order in which their runs stand in the rows.
    """

    ids: Tensor
    positions: Tensor
    labels: Tensor
    weights: Tensor
    videos: list[int]


def pack(examples: list[Example], length: int, pad: int) -> Rows:
    """Rows of `length` ids in which each example's positions start at 0; longer examples are left out."""
    rows: list[list[Example]] = []
    free: list[int] = []
    for example in sorted(examples, key=lambda e: -len(e.ids)):
        size = len(example.ids)
        if size > length:
            continue
        place = next((i for i, room in enumerate(free) if room >= size), None)
        if place is None:
            rows.append([])
            free.append(length)
            place = len(rows) - 1
        rows[place].append(example)
        free[place] -= size
    ids = torch.full((len(rows), length), pad)
    positions = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    weights = torch.zeros(ids.shape)
    videos: list[int] = []
    for r, row in enumerate(rows):
        at = 0
        for example in row:
            end = at + len(example.ids)
            ids[r, at:end] = torch.tensor(example.ids)
            positions[r, at:end] = torch.arange(end - at)
            weights[r, at:end] = torch.tensor(example.weights)
            videos += example.videos
            at = end
        # What fills the row up is an example of its own, of which nothing is learned.
        positions[r, at:] = torch.arange(length - at)
    learned = weights > 0
    labels[learned] = ids[learned]
    return Rows(ids, positions, labels, weights, videos)


def weighted_loss(logits_RLV: Tensor, rows: Rows) -> tuple[Tensor, float]:
    """Mean weighted cross-entropy of the next ids, and the share of learned ids that are guessed right."""
    labels, weights = (t[:, 1:].to(logits_RLV.device) for t in (rows.labels, rows.weights))
    learned = weights > 0
    chosen, target = logits_RLV[:, :-1][learned].float(), labels[learned]
    losses = torch.nn.functional.cross_entropy(chosen, target, reduction="none")
    loss = (losses * weights[learned]).sum() / weights[learned].sum()
    whole = weights[learned] == 1
    return loss, float((chosen.argmax(-1) == target)[whole].float().mean())
