"""Facts of a scene as targets: a head that reads them off an embedding, for training only.

Captions alone teach slowly, CLIP as well as the abstractor: a caption is many words, and each clip tells of a
few facts in one order. The head asks for everything at once. No two objects of a scene share a colour, so a
table with a row for each colour holds a scene:

    present | shape | motion | size | event | becomes | speed | order | its path  and one background

The path is where it is and how large, at a few moments: motions, relations and order all lie in it.

A single frame is told cell by cell: which object covers each patch, and where and how it lies. Words are
asked what they say, and asked back: contrast with pictures alone left those for shapes and motions all alike.
Suffixes: B batch, K colours, S soft tokens, D their width, P patches, C their width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from gpt4video.shapes.language.describe import Request
from gpt4video.shapes.world import BACKGROUNDS, COLORS, EVENTS, MOTIONS, SHAPES, SIZES, SPEEDS, Scene

Targets = TypeVar("Targets", "Facts", "Cells", "Told")


def beside(values: Tensor, targets: Targets) -> Targets:
    """The targets on the device of the values that they are compared with."""
    moved: dict[str, Any] = {}
    for field in fields(targets):
        value = getattr(targets, field.name)
        if isinstance(value, dict):
            moved[field.name] = {name: tensor.to(values.device) for name, tensor in value.items()}
        else:
            moved[field.name] = value.to(values.device)
    return replace(targets, **moved)


UNKNOWN = -100
"""The target of what cannot be said; cross-entropy leaves it out."""
FIELDS = {
    "shape": len(SHAPES),
    "motion": len(MOTIONS),
    "size": len(SIZES),
    "event": len(EVENTS) + 1,
    "becomes": len(COLORS),
    "speed": len(SPEEDS),
    "order": 2,
}
MOMENTS = (0.04, 0.23, 0.41, 0.59, 0.77, 0.96)
"""When a path is asked for, as fractions of the video."""
ROW = 1 + sum(FIELDS.values()) + 3 * len(MOMENTS)


@dataclass(frozen=True)
class Facts:
    """Targets of a batch: `present` and `fields` (B, K), `path` (B, K, 3 * moments), `background` (B,).

    A path holds x, y and radius at each moment, in sides of the frame.
    """

    present: Tensor
    fields: dict[str, Tensor]
    path: Tensor
    background: Tensor


def facts_of(scenes: list[Scene]) -> Facts:
    """The facts of scenes."""
    shape = (len(scenes), len(COLORS))
    present, path = torch.zeros(shape), torch.zeros(*shape, 3 * len(MOMENTS))
    fields = {name: torch.full(shape, UNKNOWN) for name in FIELDS}
    for b, scene in enumerate(scenes):
        for thing in scene.things:
            k = list(COLORS).index(thing.color)
            state = thing.at(np.array(MOMENTS) * scene.duration, scene.duration)
            present[b, k] = 1
            path[b, k] = torch.from_numpy(np.concatenate((state.x, state.y, state.radius)))
            fields["shape"][b, k] = SHAPES.index(thing.shape)
            fields["motion"][b, k] = MOTIONS.index(thing.motion)
            fields["event"][b, k] = 0 if thing.event is None else 1 + EVENTS.index(thing.event)
            if thing.new_color:
                fields["becomes"][b, k] = list(COLORS).index(thing.new_color)
            if thing.sized:
                fields["size"][b, k] = list(SIZES).index(thing.size)
            if thing.travels:
                fields["speed"][b, k] = list(SPEEDS).index(thing.speed)
            if scene.first is not None:
                fields["order"][b, k] = int(scene.things[scene.first] is not thing)
    names = list(BACKGROUNDS)
    grounds = [UNKNOWN if s.foreign else names.index(s.background) for s in scenes]
    return Facts(present, fields, path, torch.tensor(grounds))


class FactsHead(nn.Module):
    """Soft tokens (B, S, D) to the facts table."""

    def __init__(self, num_tokens: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.table = nn.Linear(num_tokens * width, len(COLORS) * ROW)
        self.background = nn.Linear(num_tokens * width, len(BACKGROUNDS))

    def loss(self, soft_BSD: Tensor, facts: Facts) -> tuple[Tensor, dict[str, float]]:
        """The sum of the fields' losses, and how many of each are right."""
        facts = beside(soft_BSD, facts)
        flat = self.norm(soft_BSD).flatten(1)
        table = self.table(flat).unflatten(1, (len(COLORS), ROW))
        background = self.background(flat)
        right = {"background": _right(background, facts.background)}
        shown = (facts.background != UNKNOWN).sum().clamp(min=1)
        loss = nn.functional.cross_entropy(background, facts.background, reduction="sum") / shown
        loss = loss + 4 * nn.functional.binary_cross_entropy_with_logits(table[..., 0], facts.present)
        at = 1
        for name, size in FIELDS.items():
            logits, target = table[..., at : at + size], facts.fields[name]
            at += size
            known = int((target != UNKNOWN).sum())
            if known:  # few scenes have an order
                total = nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum")
                loss = loss + total / known
                right[name] = _right(logits, target)
        off = table[..., at:] - 4 * facts.path
        loss = loss + ((off**2).mean(-1) * facts.present).sum() * 6 / facts.present.sum().clamp(min=1)
        return loss, right


TURNS = {"square": 4, "triangle": 3, "star": 5, "cross": 4}
"""After which part of a turn each shape looks the same."""


@dataclass(frozen=True)
class Cells:
    """What covers each patch of a batch of frames: `shape` and `color` (B, P), `UNKNOWN` where nothing does.

    `pose` (B, P, 5): its centre as seen from the patch, right and down, and its radius, all in patches of a
    square picture; cosine and sine of its angle times its symmetry, both 0 for what is round. `background` is
    (B,).
    """

    shape: Tensor
    color: Tensor
    pose: Tensor
    background: Tensor


def cells_of(scenes: list[Scene], times: list[float], aspects: list[float], grid: tuple[int, int]) -> Cells:
    """The cells of one frame of each scene, whose picture was `aspects` times as wide as high."""
    rows, columns = grid
    shape = np.full((len(scenes), rows, columns), UNKNOWN)
    color, pose = shape.copy(), np.zeros((*shape.shape, 5), np.float32)
    down, right = np.mgrid[0:rows, 0:columns] + 0.5
    for b, (scene, time, aspect) in enumerate(zip(scenes, times, aspects, strict=True)):
        x = (right / columns - 0.5) * max(1.0, aspect)
        y = (down / rows - 0.5) * max(1.0, 1 / aspect)
        for thing in scene.things:  # from back to front
            state = thing.at(np.array([time]), scene.duration)
            if not state.visible[0]:
                continue
            dx, dy, radius = float(state.x[0]) - x, float(state.y[0]) - y, float(state.radius[0])
            inside = np.hypot(dx, dy) < radius
            shown = thing.new_color if state.recolored[0] and thing.new_color else thing.color
            shape[b][inside] = SHAPES.index(thing.shape)
            color[b][inside] = list(COLORS).index(shown)
            symmetry = TURNS.get(thing.shape)
            angle = symmetry * float(state.angle[0]) if symmetry else 0.0
            turn = (np.cos(angle), np.sin(angle)) if symmetry else (0.0, 0.0)
            rest = np.broadcast_to([radius * rows, *turn], (*dx.shape, 3))
            whole = np.concatenate((dx[..., None] * columns, dy[..., None] * rows, rest), -1)
            pose[b][inside] = whole[inside]
    names = list(BACKGROUNDS)
    return Cells(
        torch.from_numpy(shape).flatten(1),
        torch.from_numpy(color).flatten(1),
        torch.from_numpy(pose).flatten(1, 2),
        torch.tensor([names.index(s.background) for s in scenes]),
    )


class CellsHead(nn.Module):
    """Patch tokens (B, P, C) to what covers each patch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.sizes = [1, len(SHAPES), len(COLORS), 5, len(BACKGROUNDS)]
        self.out = nn.Linear(width, sum(self.sizes))

    def loss(self, patches_BPC: Tensor, cells: Cells) -> tuple[Tensor, dict[str, float]]:
        """The sum of the losses, and how much of each is right."""
        cells = beside(patches_BPC, cells)
        covered, shape, color, pose, background = self.out(self.norm(patches_BPC)).split(self.sizes, -1)
        there = cells.shape != UNKNOWN
        cross_entropy = nn.functional.cross_entropy
        loss = nn.functional.binary_cross_entropy_with_logits(covered[..., 0], there.float())
        loss = loss + cross_entropy(shape.flatten(0, 1), cells.shape.flatten())
        loss = loss + cross_entropy(color.flatten(0, 1), cells.color.flatten())
        loss = loss + cross_entropy(background.mean(1), cells.background)
        loss = loss + nn.functional.smooth_l1_loss(pose[there], cells.pose[there])
        right = {"shape": _right(shape, cells.shape), "color": _right(color, cells.color)}
        return loss, {**right, "background": _right(background.mean(1), cells.background)}


ROWS = (*COLORS, None)
"""Objects that a request names by their colour, and those whose colour it leaves unsaid."""
SAID: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "motion": MOTIONS,
    "size": tuple(SIZES),
    "speed": tuple(SPEEDS),
}


@dataclass(frozen=True)
class Told:
    """What requests say: `present` (B, R), `fields` (B, R) each, `background` (B,).

    One class more than there are values means unsaid; nothing is asked of rows without an object.
    """

    present: Tensor
    fields: dict[str, Tensor]
    background: Tensor


def told_of(requests: list[Request]) -> Told:
    """What each request says of the objects of each colour."""
    shape = (len(requests), len(ROWS))
    present = torch.zeros(shape)
    fields = {name: torch.full(shape, UNKNOWN) for name in SAID}
    background = torch.full((len(requests),), len(BACKGROUNDS))
    for b, request in enumerate(requests):
        for wanted in request.things:
            row = ROWS.index(wanted.color)
            present[b, row] = 1
            for name, values in SAID.items():
                value = getattr(wanted, name)
                fields[name][b, row] = values.index(value) if value else len(values)
        if request.background:
            background[b] = list(BACKGROUNDS).index(request.background)
    return Told(present, fields, background)


class ToldHead(nn.Module):
    """Embeddings of requests (B, E) to what they say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.sizes = [1, *(len(values) + 1 for values in SAID.values())]
        self.rows = nn.Linear(width, len(ROWS) * sum(self.sizes))
        self.background = nn.Linear(width, len(BACKGROUNDS) + 1)

    def loss(self, embeddings_BE: Tensor, told: Told) -> tuple[Tensor, dict[str, float]]:
        """The sum of the losses, and how much of each is right."""
        told = beside(embeddings_BE, told)
        normed = self.norm(embeddings_BE)
        present, *fields = self.rows(normed).unflatten(1, (len(ROWS), -1)).split(self.sizes, -1)
        background = self.background(normed)
        loss = 4 * nn.functional.binary_cross_entropy_with_logits(present[..., 0], told.present)
        loss = loss + nn.functional.cross_entropy(background, told.background)
        right = {"background": _right(background, told.background)}
        for (name, target), logits in zip(told.fields.items(), fields, strict=True):
            loss = loss + nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
            right[name] = _right(logits, target)
        return loss, right


class RecallHead(nn.Module):
    """States of a text (B, S, D) to the tokens that were read last at each place.

    The drawer reads these states word by word, so each has to hold its phrase.
    """

    def __init__(self, width: int, vocab_size: int, back: int = 4) -> None:
        super().__init__()
        self.back, self.vocab_size = back, vocab_size
        self.out = nn.Linear(width, back * vocab_size)

    def loss(self, states_BSD: Tensor, ids_BS: Tensor, pad: int) -> tuple[Tensor, float]:
        """Cross-entropy of the last tokens, padding left out, and the share that is right."""
        places = (ids_BS != pad) & (torch.arange(ids_BS.shape[1], device=ids_BS.device) >= self.back - 1)
        last = torch.stack([ids_BS.roll(k, 1) for k in range(self.back)], -1)[places]
        logits = self.out(states_BSD[places]).unflatten(-1, (self.back, self.vocab_size))
        return nn.functional.cross_entropy(logits.flatten(0, 1), last.flatten()), _right(logits, last)


def _right(logits: Tensor, target: Tensor) -> float:
    known = target != UNKNOWN
    return float((logits.argmax(-1) == target)[known].float().mean())
