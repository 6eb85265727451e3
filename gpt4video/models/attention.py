"""Causal self-attention with grouped keys: a block's first branch.

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
from gpt4video.models.positions import Angles, rotate


class Attention(nn.Module):
    """Multi-head causal self-attention; `num_key_value_heads` heads of keys serve all queries."""

    def __init__(self, config: BackboneConfig, layer: int) -> None:
        super().__init__()
        assert config.head_dim is not None and config.num_key_value_heads is not None, "filled in"
        self.config, self.layer_idx, self.head_dim = config, layer, config.head_dim
        # The names below are what transformers' attention functions, and vLLM's, look for on a module.
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.scaling = self.head_dim**-0.5 if config.attention_scale is None else config.attention_scale
        self.is_causal = True
        self.sliding_window = config.sliding_window if config.slides(layer) else None
        width, query_width = config.hidden_size, config.num_attention_heads * self.head_dim
        key_width = config.num_key_value_heads * self.head_dim
        self.q_proj = nn.Linear(width, query_width, bias=config.qkv_bias)
        self.k_proj = nn.Linear(width, key_width, bias=config.qkv_bias)
        self.v_proj = nn.Linear(width, key_width, bias=config.qkv_bias)
        self.o_proj = nn.Linear(query_width, width, bias=config.attention_out_bias)
        # One norm for each head, or one over all heads together.
        together = config.qk_norm == "projection"
        self.normed_query, self.normed_key = (
            (query_width, key_width) if together else (self.head_dim, self.head_dim)
        )
        normed = bool(config.qk_norm)
        self.q_norm = RMSNorm(self.normed_query, config.norm_eps) if normed else None
        self.k_norm = RMSNorm(self.normed_key, config.norm_eps) if normed else None

    def forward(
        self,
        hidden_states: Tensor,
        angles: Angles | None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, L, D) to (B, L, D), and the weights (B, H, L, S) where the implementation gives them.

        `angles` turn queries and keys, where positions are rotary. `past_key_values` is a transformers
        `Cache`, or anything with its `update(keys, values, layer)`.
        """
        places = hidden_states.shape[:-1]
        q, k = self.q_proj(hidden_states), self.k_proj(hidden_states)
        if self.q_norm is not None and self.k_norm is not None:
            q = self.q_norm(q.view(*places, -1, self.normed_query))
            k = self.k_norm(k.view(*places, -1, self.normed_key))
        q_BHLE = q.view(*places, -1, self.head_dim).transpose(1, 2)
        k_BKSE = k.view(*places, -1, self.head_dim).transpose(1, 2)
        v_BKSE = self.v_proj(hidden_states).view(*places, -1, self.head_dim).transpose(1, 2)
        if angles is not None:
            q_BHLE, k_BKSE = rotate(q_BHLE, angles), rotate(k_BKSE, angles)
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
            sliding_window=self.sliding_window,
            softcap=self.config.attn_logit_softcapping,
            **kwargs,
        )
        out_BLD: Tensor = self.o_proj(mixed_BLHE.reshape(*places, -1))
        return out_BLD, weights


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """softmax(cap(q k^T * scaling) + mask) v, written out; what `attn_implementation="eager"` runs.

    cap(s) = softcap * tanh(s / softcap), where there is one: no score is larger (Gemma 2, arXiv 2408.00118).
    """
    groups: int = module.num_key_value_groups
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = query @ key.transpose(-1, -2) * scaling
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if attention_mask is not None:
        scores = scores + attention_mask
    exact = torch.promote_types(scores.dtype, torch.float32)
    weights = scores.softmax(dim=-1, dtype=exact).to(query.dtype)
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights
