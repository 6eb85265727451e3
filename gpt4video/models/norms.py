"""Where a block normalises: out(x + branch(f(inner(x)))), with three optional norms.

f is attention or the MLP, N a norm, x the residual stream. Each word fills in the same formula:

    x + f(N(x))        pre      Xiong et al. 2020, arXiv 2002.04745
    N(x + f(x))        post     Vaswani et al. 2017, arXiv 1706.03762
    x + N(f(N(x)))     peri     Kim et al. 2025, arXiv 2502.02732; the embeddings are normalised too
    x + N(f(x))        output   OLMo 2, arXiv 2501.00656; wants qk_norm, as f reads the raw stream
    post, then pre     mix      Li et al. 2025, arXiv 2412.13795; post in the first floor(alpha * L) layers

Every model has a final norm before its head, whatever the word. A new placement is a new row of
`PLACEMENTS` or `MIXTURES`; a new kind of norm is a new row of `NORMS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Placement:
    """Which of the three places of a block hold a norm, and whether the embeddings get one."""

    inner: bool = False
    """On what the branch reads."""
    branch: bool = False
    """On what the branch gives, before it is added."""
    out: bool = False
    """On the stream, after the addition."""
    embedding: bool = False
    """On what enters the first block. Read of the first layer only."""


PLACEMENTS = {
    "pre": Placement(inner=True),
    "post": Placement(out=True),
    "peri": Placement(inner=True, branch=True, embedding=True),
    "output": Placement(branch=True),
}

MIXTURES = {"mix": ("post", "pre")}
"""Words that place norms by depth: (the first `num_post_layers` layers, the rest)."""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension; the statistics in 32 bits or more."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape and dtype."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * self.weight).to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


NORMS: dict[str, Callable[[int, float], nn.Module]] = {
    "rmsnorm": lambda width, eps: RMSNorm(width, eps),
    "layernorm": lambda width, eps: nn.LayerNorm(width, eps),
}
"""How a norm is made: (width, eps) -> module. The norms start as plain normalisation, weight 1 and bias 0."""


class NormConfig(Protocol):
    """The fields of a config that say what is normalised, where and how."""

    hidden_size: int
    num_hidden_layers: int
    norm_placement: str
    norm_kind: str
    norm_eps: float
    num_post_layers: int


def placement_of(config: NormConfig, layer: int) -> Placement:
    """Where `layer` (0 is the first) normalises."""
    first, rest = MIXTURES.get(config.norm_placement, (config.norm_placement, config.norm_placement))
    return PLACEMENTS[first if layer < config.num_post_layers else rest]


def count_of_post_layers(alpha: float, num_layers: int) -> int:
    """floor(alpha * L), safe against the binary fractions that make floor(0.29 * 100) 28."""
    return math.floor(round(alpha * num_layers, 9))


def make_norm(config: NormConfig, width: int | None = None) -> nn.Module:
    """A fresh norm of the config's kind, over `width` (default: the residual stream's)."""
    return NORMS[config.norm_kind](config.hidden_size if width is None else width, config.norm_eps)


class Residual(nn.Module):
    """One residual step, out(x + branch(f(inner(x)))); a place without a norm is the identity."""

    def __init__(self, config: NormConfig, layer: int) -> None:
        super().__init__()
        placement = placement_of(config, layer)
        self.inner = make_norm(config) if placement.inner else nn.Identity()
        self.branch = make_norm(config) if placement.branch else nn.Identity()
        self.out = make_norm(config) if placement.out else nn.Identity()

    def forward(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The stream (B, L, D) after the branch `f`, which maps (B, L, D) to (B, L, D)."""
        stream: Tensor = self.out(x + self.branch(f(self.inner(x))))
        return stream
