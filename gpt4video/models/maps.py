"""Linear maps, whatever class they are kept in: read as (out, in), replaced by maps of other shapes.
Shapes: B batch, L positions, d channels of the stream.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn


class Map(Protocol):
    """A linear map, whatever class it is kept in."""

    def get(self) -> tuple[Tensor, Tensor | None]:
        """Its weight (out, in, …) and bias (out,)."""
        ...

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Replace both; the shapes may be new."""
        ...


class Linear:
    """A map kept in an `nn.Linear`, or in any module with `weight` (out, in) and `bias`."""

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module

    def get(self) -> tuple[Tensor, Tensor | None]:
        """Its weight (out, in) and bias (out,)."""
        return self.module.weight, self.module.bias

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Replace both."""
        old = self.module.weight
        self.module.weight, self.module.bias = _like(old, weight), _like(old, bias)
        self.module.out_features, self.module.in_features = weight.shape


class Transposed(Linear):
    """A map kept in transformers' `Conv1D`, whose weight is (in, out)."""

    def get(self) -> tuple[Tensor, Tensor | None]:
        """Its weight (out, in) and bias (out,)."""
        return self.module.weight.T, self.module.bias

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Replace both."""
        old = self.module.weight
        self.module.weight, self.module.bias = _like(old, weight.T), _like(old, bias)
        self.module.nx, self.module.nf = self.module.weight.shape


class Packed:
    """Queries, keys and values of `owner.attn`, an `nn.MultiheadAttention`, in one map."""

    def __init__(self, owner: nn.Module) -> None:
        self.owner: Any = owner

    def get(self) -> tuple[Tensor, Tensor | None]:
        """Its weight (3 d, d) and bias (3 d,)."""
        return self.owner.attn.in_proj_weight, self.owner.attn.in_proj_bias

    def set(self, weight: Tensor, bias: Tensor | None) -> None:
        """Replace both; where fewer channels are read, by an attention that can."""
        attn = self.owner.attn
        old = attn.in_proj_weight
        if weight.shape[1] == attn.embed_dim:
            attn.in_proj_weight, attn.in_proj_bias = _like(old, weight), _like(old, bias)
            return
        self.owner.attn = NarrowAttention(attn, _like(old, weight), _like(old, bias))


class NarrowAttention(nn.Module):
    """Self-attention of d channels inside, between narrower ends; called as `nn.MultiheadAttention` is."""

    def __init__(self, attn: nn.MultiheadAttention, weight: nn.Parameter, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.num_heads, self.dropout = attn.num_heads, attn.dropout
        self.in_proj_weight, self.in_proj_bias, self.out_proj = weight, bias, attn.out_proj
        self.train(attn.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """(B, L, d - 1) to the same shape; `attn_mask`, added to scores, is (L, L) or (B * heads, L, L)."""
        assert query is key is value, "only self-attention is converted"
        batch, length, _ = query.shape
        packed = nn.functional.linear(query, self.in_proj_weight, self.in_proj_bias)
        heads = packed.view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        if attn_mask is not None and attn_mask.ndim == 3:
            attn_mask = attn_mask.unflatten(0, (batch, self.num_heads))
        dropout = self.dropout if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(
            heads[0], heads[1], heads[2], attn_mask, dropout_p=dropout
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None


def _like(old: Tensor, new: Tensor | None) -> nn.Parameter | None:
    """A parameter of the old one's dtype, device and freedom."""
    if new is None:
        return None
    return nn.Parameter(new.to(old.dtype).contiguous(), requires_grad=old.requires_grad)
