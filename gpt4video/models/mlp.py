"""The MLP of a block, its second branch.

gated    down(act(gate(x)) * up(x))   SwiGLU, GeGLU (Shazeer 2020, arXiv 2002.05202)
plain    down(act(up(x)))             GPT-2
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from transformers.activations import ACT2FN


class PlainMLP(nn.Module):
    """down(act(up(x))); `act` is a word of transformers' table."""

    def __init__(self, width: int, inner_width: int, act: str = "gelu", bias: bool = True) -> None:
        super().__init__()
        self.up_proj = nn.Linear(width, inner_width, bias=bias)
        self.down_proj = nn.Linear(inner_width, width, bias=bias)
        self.act_fn = ACT2FN[act]

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        out: Tensor = self.down_proj(self.act_fn(self.up_proj(x)))
        return out


class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)); `act` is a word of transformers' table, silu for SwiGLU."""

    def __init__(self, width: int, inner_width: int, act: str = "silu", bias: bool = False) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner_width, bias=bias)
        self.up_proj = nn.Linear(width, inner_width, bias=bias)
        self.down_proj = nn.Linear(inner_width, width, bias=bias)
        self.act_fn = ACT2FN[act]

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        out: Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return out


MLPS: dict[str, Callable[[int, int, str, bool], nn.Module]] = {"gated": GatedMLP, "plain": PlainMLP}
"""How an MLP is made, by the config's word: (width, inner width, activation, biases) -> module."""
