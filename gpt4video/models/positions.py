"""How a token's place enters: angles that turn queries and keys, or a learned row added to the embedding.

    rope      pair i of a head turns by position * theta^(-2i/E)    Su et al. 2021, arXiv 2104.09864
    learned   x + table[position]                                   as in GPT-2

Models made for longer contexts than they were pre-trained on slow some pairs down; how is a word of
`rope_parameters["rope_type"]`, and transformers' table has the formulas. Layers that slide may have angles
of their own (Gemma 3): then `rope_parameters` has one such mapping for each kind of layer.
Suffixes: B batch, L new positions, H heads, E head, E2 = E / 2.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

Angles = tuple[Tensor, Tensor]
"""Cosines and sines of the rotary angles, each (B, 1, L, E); the sines of the first half are negative."""

ROPE_TYPES = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions. Those whose speeds depend on the length seen so far (dynamic, longrope) are left
out: keys in the cache would keep the angles of a shorter text, so that cached decoding differs from plain."""


class RopeConfig(Protocol):
    """The fields of a config that say how fast each pair turns."""

    head_dim: int | None
    rope_theta: float
    rope_parameters: dict[str, Any] | None


class RotaryEmbedding(nn.Module):
    """The angles of each position."""

    def __init__(self, config: RopeConfig) -> None:
        super().__init__()
        assert config.head_dim is not None, "the config fills it in"
        self.config, self.head_dim = config, config.head_dim

    def forward(self, position_ids: Tensor, dtype: torch.dtype, kind: str | None = None) -> Angles:
        """(B, L) integer positions to cosines and sines (B, 1, L, E) in `dtype`.

        `kind` is the kind of layer they are for, where the kinds differ.
        """
        # Made anew at each call, once for all layers: a stored table would have to survive meta-device
        # loading and casts of the whole model to 16 bits, which ruin far positions.
        exact = torch.promote_types(dtype, torch.float32)
        speed_E2, size = self._speeds(position_ids.device, exact, kind)
        angle_BLE2 = position_ids[..., None].to(exact) * speed_E2
        angle_B1LE2 = angle_BLE2[:, None]
        cos, sin = angle_B1LE2.cos() * size, angle_B1LE2.sin() * size
        # The sign is given to the sines once, not to half of every query and key.
        return torch.cat((cos, cos), dim=-1).to(dtype), torch.cat((-sin, sin), dim=-1).to(dtype)

    def _speeds(self, device: torch.device, exact: torch.dtype, kind: str | None) -> tuple[Tensor, float]:
        """The angle between neighbours for each pair (E2,), and what cosines and sines are multiplied by."""
        every, pairs_E2 = self.config.rope_parameters, torch.arange(0, self.head_dim, 2, device=device)
        share_E2 = pairs_E2.to(exact) / self.head_dim
        if every is None:
            return self.config.rope_theta**-share_E2, 1.0
        own = every if kind is None else every[kind]
        if own["rope_type"] == "default":
            # The same but for the last binary digit, which shows a thousand tokens on: models that come from
            # other families were trained with this one.
            return 1.0 / own["rope_theta"] ** share_E2, 1.0
        speed_E2, size = ROPE_INIT_FUNCTIONS[own["rope_type"]](self.config, device, layer_type=kind)
        return speed_E2.to(exact), size


def rotate(x_BHLE: Tensor, angles: Angles) -> Tensor:
    """Turn number i and number i + E/2 of each head as one pair, by the angle of its position."""
    cos, sin = angles
    return x_BHLE * cos + x_BHLE.roll(x_BHLE.shape[-1] // 2, dims=-1) * sin


class LearnedPositions(nn.Embedding):
    """A learned row for each position, added to what stands there."""

    def forward(self, x_BLD: Tensor, position_ids: Tensor) -> Tensor:
        """(B, L, D) and (B or 1, L) to (B, L, D)."""
        rows: Tensor = super().forward(position_ids)
        return x_BLD + rows


class ScaledEmbedding(nn.Embedding):
    """An embedding whose rows are multiplied by a constant when looked up, but not in a tied head."""

    def __init__(self, num_embeddings: int, width: int, embed_scale: float) -> None:
        super().__init__(num_embeddings, width)
        self.embed_scale = embed_scale  # the name that engines look for when they put their own in its place

    def forward(self, ids: Tensor) -> Tensor:
        """(B, L) ids to (B, L, D)."""
        # Rounded to the weights' own type first, as in the models that were trained with it (Gemma).
        scale = torch.tensor(self.embed_scale, dtype=self.weight.dtype, device=self.weight.device)
        rows: Tensor = super().forward(ids)
        return rows * scale
