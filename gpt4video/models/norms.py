"""Where a block normalises: out(carry * x + branch(f(damp * inner(x)))), with three optional norms.

f is attention or the MLP, N a norm, x the residual stream. Each word fills in the same formula:

    x + f(N(x))           pre       Xiong et al. 2020, arXiv 2002.04745
    N(x + f(x))           post      Vaswani et al. 2017, arXiv 1706.03762
    post, then pre        mix       Li et al. 2025, arXiv 2412.13795; post in the first floor(alpha L) layers
    x + N(f(N(x)))        peri      Kim et al. 2025, arXiv 2502.02732; the embeddings are normalised too
    x + N(f(x))           output    OLMo 2, arXiv 2501.00656; wants qk_norm, as f reads the raw stream
    N((2L)^1/4 x + f(x))  deepnorm  Wang et al. 2022, arXiv 2203.00555; f starts smaller by (8L)^-1/4
    x + f(N(x) / sqrt l)  lns       LayerNorm Scaling, Sun et al. 2025, arXiv 2502.05795; layer l from 1

Every model has a final norm before its head, whatever the word. A new placement is a new row of
`PLACEMENTS`; a new kind of norm is a new row of `NORMS`.
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
    """Which of the three places of a block hold a norm, the factors beside them, and how the model starts."""

    inner: bool = False
    """On what the branch reads."""
    branch: bool = False
    """On what the branch gives, before it is added."""
    out: bool = False
    """On the stream, after the addition."""
    embedding: bool = False
    """On what enters the first block, unless the config's `embedding_norm` says otherwise."""
    carry: float = 1.0
    """What the stream is multiplied by before the branch is added to it."""
    damp: float = 1.0
    """What the inner norm's result is multiplied by."""
    gain: float = 1.0
    """What fresh weights of the values, the attention's output and the MLP are multiplied by."""


PRE, POST = Placement(inner=True), Placement(out=True)

PLACEMENTS: dict[str, Callable[[int, int, int], Placement]] = {
    "pre": lambda layer, layers, post: PRE,
    "post": lambda layer, layers, post: POST,
    "mix": lambda layer, layers, post: POST if layer < post else PRE,
    "peri": lambda layer, layers, post: Placement(inner=True, branch=True, embedding=True),
    "output": lambda layer, layers, post: Placement(branch=True),
    # The paper's row for decoders without an encoder. The code published with Mix-LN multiplies fresh weights
    # by (8L)^+1/4 and carries with the factor of 32 layers at every depth; its DeepNorm results are of that.
    "deepnorm": lambda layer, layers, post: Placement(
        out=True, carry=(2 * layers) ** 0.25, gain=(8 * layers) ** -0.25
    ),
    "lns": lambda layer, layers, post: Placement(inner=True, damp=(layer + 1) ** -0.5),
}
"""What each word means: (layer, 0 is the first; how many layers; how many of them are post) -> placement."""

POST_SHARES = {"mix": None, "post": 1.0}
"""The share of the layers that are post; None: the config's `mix_alpha`. The other words have none."""


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension; the statistics in 32 bits or more."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape and dtype."""
        dtype = torch.promote_types(x.dtype, self.weight.dtype)
        weight = self.weight.to(dtype)
        return nn.functional.rms_norm(x.to(dtype), weight.shape, weight, self.eps).to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


class CompressedNorm(nn.Module):
    """CRMSNorm: the RMSNorm of a stream that sums to zero, told all its channels but the last.

        x / sqrt((sum(x^2) + sum(x)^2) / (width + 1) + eps) * weight

    The last channel is minus the sum of the others. With weight 1 this is what LayerNorm over width + 1
    channels gives on the first `width` of them (Jiang et al. 2023, arXiv 2305.14858), so that a Pre-LN model
    can be said with one channel less; of the other placements no such equivalence is claimed. It centres
    without saying so, hence the name: engines put their own plain kernel in the place of whatever class is
    named RMSNorm.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape and dtype; the statistics in 32 bits or more."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        squares = wide.square().sum(-1, keepdim=True) + wide.sum(-1, keepdim=True).square()
        wide = wide * torch.rsqrt(squares / (x.shape[-1] + 1) + self.eps)
        return (wide * self.weight).to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"{self.weight.shape[0]}, eps={self.eps}"


NORMS: dict[str, Callable[[int, float], nn.Module]] = {
    "rmsnorm": lambda width, eps: RMSNorm(width, eps),
    "layernorm": lambda width, eps: nn.LayerNorm(width, eps),
    "crmsnorm": lambda width, eps: CompressedNorm(width, eps),
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
    place = PLACEMENTS[config.norm_placement]
    return place(layer, config.num_hidden_layers, config.num_post_layers)


def count_of_post_layers(alpha: float, num_layers: int) -> int:
    """floor(alpha * L), safe against the binary fractions that make floor(0.29 * 100) 28."""
    return math.floor(round(alpha * num_layers, 9))


def make_norm(config: NormConfig, width: int | None = None) -> nn.Module:
    """A fresh norm of the config's kind, over `width` (default: the residual stream's)."""
    return NORMS[config.norm_kind](config.hidden_size if width is None else width, config.norm_eps)


class Residual(nn.Module):
    """One residual step, out(carry * x + branch(f(damp * inner(x)))); a place without a norm is left out."""

    def __init__(self, config: NormConfig, layer: int) -> None:
        super().__init__()
        placement = placement_of(config, layer)
        self.inner = make_norm(config) if placement.inner else None
        self.branch = make_norm(config) if placement.branch else None
        self.out = make_norm(config) if placement.out else None
        self.carry, self.damp = placement.carry, placement.damp

    def forward(self, x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The stream (B, L, D) after the branch `f`, which maps (B, L, D) to (B, L, D)."""
        given = _through(self.branch, f(_times(self.damp, _through(self.inner, x))))
        return _through(self.out, _times(self.carry, x) + given)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"carry={self.carry:.4g}, damp={self.damp:.4g}"


def _times(factor: float, x: Tensor) -> Tensor:
    """factor * x, without a pass over memory where the factor is 1."""
    return x if factor == 1 else factor * x


def _through(norm: nn.Module | None, x: Tensor) -> Tensor:
    """norm(x), or x where there is no norm: a module that does nothing costs as much as a small product."""
    if norm is None:
        return x
    normed: Tensor = norm(x)
    return normed
