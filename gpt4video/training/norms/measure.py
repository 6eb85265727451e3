"""What is read off a decoder: its loss, gradients, residual stream, and how much each layer does.

loss        mean nats a token on held-out text
gradient    L2 norm over the matrices of a layer's attention, and of its MLP; unclipped, mean of batches
stream      variance over channels, mean over tokens; mean and largest absolute value; of what enters each
            block and of what leaves the last
angle       arccos of the cosine between the last token's states entering two layers, by pi; mean of
            sequences (Gromov et al. 2024, arXiv 2403.17887). Raw: figures that rescale each row hide the size
removal     held-out loss with a layer left out, minus the loss with all; nothing is healed
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

FP16_LIMIT = torch.finfo(torch.float16).max


def autocast(device: torch.device, bf16: bool) -> Any:
    """bfloat16 forward passes, or none of it."""
    # A recorded step may not have a cache of casts; without it each pass casts the weights again.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False) if bf16 else nullcontext()


def next_token_loss(model: Any, ids_BL: Tensor) -> Tensor:
    """Mean nats a token."""
    # Every layer of the study sees all that came before. Said outright, no mask is made; older transformers
    # make one while a step is recorded, and attention reads it more slowly.
    assert model.config._attn_implementation == "sdpa", "others take no mask to mean that the future is seen"
    unmasked = dict.fromkeys(model.model.kinds)
    logits = model(input_ids=ids_BL, attention_mask=unmasked, use_cache=False).logits[:, :-1].float()
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids_BL[:, 1:].flatten())


class Loss(nn.Module):
    """The loss of a batch as a module; on a GPU recorded as one CUDA graph, forward and backward.

    A small decoder is some thousand short kernels: launched one by one, a GPU waits for the processor.
    """

    def __init__(self, model: Any, bf16: bool) -> None:
        super().__init__()
        self.model, self.bf16 = model, bf16

    def forward(self, ids_BL: Tensor) -> Tensor:
        """Mean nats a token of ids (B, L)."""
        with autocast(ids_BL.device, self.bf16):
            return next_token_loss(self.model, ids_BL)

    def recorded(self, ids_BL: Tensor) -> Callable[[Tensor], Tensor]:
        """The same for ids of this shape, recorded where there is a GPU."""
        if not ids_BL.is_cuda:
            return self
        made: Callable[[Tensor], Tensor] = torch.cuda.make_graphed_callables(self, (ids_BL,))
        return made


@torch.no_grad()
def loss_on(model: Any, batches: Sequence[Tensor]) -> float:
    """Mean nats a token over batches of one size."""
    return sum(float(next_token_loss(model, ids)) for ids in batches) / len(batches)


def gradients(model: Any, batches: Sequence[Tensor]) -> dict[str, list[float]]:
    """Gradient norms by layer, of `attention` and `mlp`. The model's own gradients are cleared."""
    parts = {"attention": "self_attn", "mlp": "mlp"}
    norms = {part: [0.0] * len(model.model.layers) for part in parts}
    for ids in batches:
        model.zero_grad(set_to_none=True)
        next_token_loss(model, ids).backward()
        for layer, block in enumerate(model.model.layers):
            for part, name in parts.items():
                norms[part][layer] += _gradient(getattr(block, name).parameters()) / len(batches)
    model.zero_grad(set_to_none=True)
    return norms


def _gradient(parameters: Iterable[nn.Parameter]) -> float:
    squares = [float(p.grad.double().square().sum()) for p in parameters if p.ndim > 1 and p.grad is not None]
    return math.sqrt(math.fsum(squares))


@torch.no_grad()
def streams(model: Any, ids_BL: Tensor) -> list[Tensor]:
    """What enters each block, and what leaves the last: (B, L, D) each."""
    found = model.model(input_ids=ids_BL, use_cache=False, output_hidden_states=True)
    return [x_BLD.float() for x_BLD in found.hidden_states]


def stream_figures(found: Sequence[Tensor]) -> dict[str, list[float]]:
    """Variance, mean |x| and largest |x| of each stream."""
    return {
        "variance": [float(x.var(-1, correction=0).mean()) for x in found],
        "mean": [float(x.abs().mean()) for x in found],
        "largest": [float(x.abs().max()) for x in found],
    }


def angles(found: Sequence[Tensor]) -> list[list[float]]:
    """Distance [l][n - 1] in 0..1 between what enters layer l and what enters layer l + n."""
    last_SBD = torch.stack([x[:, -1] for x in found]).double()
    units = nn.functional.normalize(last_SBD, dim=-1)
    rows = []
    for layer in range(len(found) - 1):
        cosine = (units[layer] * units[layer + 1 :]).sum(-1).clamp(-1, 1)  # rounding may go past 1
        rows.append((cosine.arccos() / math.pi).mean(-1).tolist())
    return rows


def removal(model: Any, batches: Sequence[Tensor], whole: float) -> list[float]:
    """How much the held-out loss rises without each layer."""
    rises = []
    for block in model.model.layers:
        passing = block.register_forward_hook(lambda module, args, out: args[0])
        rises.append(loss_on(model, batches) - whole)
        passing.remove()
    return rises
