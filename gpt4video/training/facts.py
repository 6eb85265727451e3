"""Facts of a scene as targets: a head that reads them off an embedding, for training only.

Captions alone teach slowly, CLIP as well as the abstractor: a caption is many words, and each clip tells of a
few facts in one order. The head asks for everything at once. No two objects of a scene share a colour, so a
table with a row for each colour holds a scene:

    present | shape | motion | size | event | place at half time       and one background

Suffixes: B batch, K colours, S soft tokens, D their width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gpt4video.shapes.world import BACKGROUNDS, COLORS, EVENTS, MOTIONS, SHAPES, SIZES, Scene

UNKNOWN = -100
"""The target of what cannot be said; cross-entropy leaves it out."""
FIELDS = {"shape": len(SHAPES), "motion": len(MOTIONS), "size": len(SIZES), "event": len(EVENTS) + 1}
ROW = 1 + sum(FIELDS.values()) + 2


@dataclass(frozen=True)
class Facts:
    """Targets of a batch: `present` (B, K), `fields` (B, K) each, `place` (B, K, 2), `background` (B,)."""

    present: Tensor
    fields: dict[str, Tensor]
    place: Tensor
    background: Tensor


def facts_of(scenes: list[Scene], times: list[float] | None = None) -> Facts:
    """The facts of scenes; with `times`, those of one frame of each: what is there then, and where."""
    shape = (len(scenes), len(COLORS))
    present, place = torch.zeros(shape), torch.zeros(*shape, 2)
    fields = {name: torch.full(shape, UNKNOWN) for name in FIELDS}
    for b, scene in enumerate(scenes):
        for thing in scene.things:
            k = list(COLORS).index(thing.color)
            when = scene.duration / 2 if times is None else times[b]
            state = thing.at(np.array([when]), scene.duration)
            if times is not None:
                if not state.visible[0]:
                    continue
                if state.recolored[0]:
                    k = list(COLORS).index(thing.new_color or thing.color)
            present[b, k] = 1
            place[b, k] = torch.tensor([float(state.x[0]), float(state.y[0])])
            fields["shape"][b, k] = SHAPES.index(thing.shape)
            if times is None:
                fields["motion"][b, k] = MOTIONS.index(thing.motion)
                fields["event"][b, k] = 0 if thing.event is None else 1 + EVENTS.index(thing.event)
            if thing.sized:
                fields["size"][b, k] = list(SIZES).index(thing.size)
    names = list(BACKGROUNDS)
    return Facts(present, fields, place, torch.tensor([names.index(s.background) for s in scenes]))


class FactsHead(nn.Module):
    """Soft tokens (B, S, D) to the facts table."""

    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.table = nn.Linear(num_tokens * width, len(COLORS) * ROW)
        self.background = nn.Linear(num_tokens * width, len(BACKGROUNDS))

    def loss(self, soft_BSD: Tensor, facts: Facts) -> tuple[Tensor, dict[str, float]]:
        """The sum of the fields' losses, and how many of each are right."""
        flat = self.norm(soft_BSD).flatten(1)
        table = self.table(flat).unflatten(1, (len(COLORS), ROW))
        background = self.background(flat)
        right = {"background": _right(background, facts.background)}
        loss = nn.functional.cross_entropy(background, facts.background)
        loss = loss + 4 * nn.functional.binary_cross_entropy_with_logits(table[..., 0], facts.present)
        at = 1
        for name, size in FIELDS.items():
            logits, target = table[..., at : at + size], facts.fields[name]
            at += size
            if (target == UNKNOWN).all():
                continue
            loss = loss + nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
            right[name] = _right(logits, target)
        off = ((table[..., at:] - 4 * facts.place) ** 2).sum(-1)
        loss = loss + (off * facts.present).sum() / facts.present.sum().clamp(min=1)
        return loss, right


def _right(logits: Tensor, target: Tensor) -> float:
    known = target != UNKNOWN
    return float((logits.argmax(-1) == target)[known].float().mean())
