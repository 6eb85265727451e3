"""Causal self-attention with rotary positions and grouped keys, and the SwiGLU MLP: a block's two branches.

Suffixes: B batch, L new positions, S positions seen in all, H query heads, K key heads, E head, D stream.
The attention itself is transformers' table of implementations, so that sdpa, eager, flash and flex all work.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from gpt4video.models.backbone_config import BackboneConfig
from gpt4video.models.norms import RMSNorm

Angles = tuple[Tensor, Tensor]
"""Cosines and sines of the rotary angles, each (B, L, E)."""


class RotaryEmbedding(nn.Module):
    """The angles of each position: position * theta^(-2i/E) for pair i (Su et al. 2021, arXiv 2104.09864)."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        assert config.head_dim is not None, "the config fills it in"
        self.theta, self.head_dim = config.rope_theta, config.head_dim

    def forward(self, position_ids: Tensor, dtype: torch.dtype) -> Angles:
        """(B, L) integer positions to cosines and sines (B, L, E) in `dtype`."""
        # Made anew at each call, once for all layers: a stored table would have to survive meta-device
        # loading and casts of the whole model to 16 bits, which ruin far positions.
        exact = torch.promote_types(dtype, torch.float32)
        pairs_E2 = torch.arange(0, self.head_dim, 2, device=position_ids.device, dtype=exact)
        speed_E2 = self.theta ** -(pairs_E2 / self.head_dim)
        angle_BLE2 = position_ids[..., None].to(exact) * speed_E2
        angle_BLE = torch.cat((angle_BLE2, angle_BLE2), dim=-1)
        return angle_BLE.cos().to(dtype), angle_BLE.sin().to(dtype)


def rotate(x_BHLE: Tensor, angles: Angles) -> Tensor:
    """Turn number i and number i + E/2 of each head as one pair, by the angle of its position."""
    cos, sin = angles[0][:, None], angles[1][:, None]
    first, second = x_BHLE.chunk(2, dim=-1)
    return x_BHLE * cos + torch.cat((-second, first), dim=-1) * sin


class Attention(nn.Module):
    """Multi-head causal self-attention; `num_key_value_heads` heads of keys serve all queries."""

    def __init__(self, config: BackboneConfig, layer: int) -> None:
        super().__init__()
        assert config.head_dim is not None and config.num_key_value_heads is not None, "filled in"
        self.config, self.layer_idx, self.head_dim = config, layer, config.head_dim
        # The names below are what transformers' attention functions look for on a module.
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = True
        width, query_width = config.hidden_size, config.num_attention_heads * self.head_dim
        key_width = config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(width, query_width, bias=False)
        self.k_proj = nn.Linear(width, key_width, bias=False)
        self.v_proj = nn.Linear(width, key_width, bias=False)
        self.o_proj = nn.Linear(query_width, width, bias=False)
        self.q_norm = RMSNorm(self.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(
        self,
        hidden_states: Tensor,
        angles: Angles,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, L, D) to (B, L, D), and the weights (B, H, L, S) where the implementation gives them.

        `past_key_values` is a transformers `Cache`, or anything with its `update(keys, values, layer)`.
        """
        heads = (*hidden_states.shape[:-1], -1, self.head_dim)
        q_BHLE = self.q_norm(self.q_proj(hidden_states).view(heads)).transpose(1, 2)
        k_BKLE = self.k_norm(self.k_proj(hidden_states).view(heads)).transpose(1, 2)
        v_BKSE = self.v_proj(hidden_states).view(heads).transpose(1, 2)
        q_BHLE, k_BKSE = rotate(q_BHLE, angles), rotate(k_BKLE, angles)
        if past_key_values is not None:
            k_BKSE, v_BKSE = past_key_values.update(k_BKSE, v_BKSE, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention)
        mixed_BLHE, weights = attend(
            self,
            q_BHLE,
            k_BKSE,
            v_BKSE,
            attention_mask,
            dropout=self.config.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        out_BLD: Tensor = self.o_proj(mixed_BLHE.reshape(*hidden_states.shape[:-1], -1))
        return out_BLD, weights


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """softmax(q k^T / sqrt(E) + mask) v, written out; what `attn_implementation="eager"` runs."""
    groups: int = module.num_key_value_groups
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = query @ key.transpose(-1, -2) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    exact = torch.promote_types(scores.dtype, torch.float32)
    weights = scores.softmax(dim=-1, dtype=exact).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020, arXiv 2002.05202)."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner_width, bias=False)
        self.up_proj = nn.Linear(width, inner_width, bias=False)
        self.down_proj = nn.Linear(inner_width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        out: Tensor = self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out
