"""From the scores of the next token to a token: greedy, or drawn by temperature, top-k and top-p.

    probabilities, most likely first   |---- a ----|-- b --|- c -|d|      one random number u in [0, 1)
    the token is where u falls                   ^ u

Each request has random numbers of its own, one a token, so a seed gives the same reply whoever else is in the
batch (up to the rounding by which scores of a larger batch differ). Suffixes: B batch, V vocabulary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from gpt4video.errors import InputError
from gpt4video.messages import SamplingParams


def check(params: SamplingParams) -> None:
    """Raise `InputError` for numbers that cannot be sampled by."""
    if params.max_tokens < 1:
        raise InputError(f"max_tokens must be at least 1, got {params.max_tokens}.", param="max_tokens")
    if not (math.isfinite(params.temperature) and params.temperature >= 0):
        raise InputError(f"temperature must be 0 or more, got {params.temperature}.", param="temperature")
    if not 0 < params.top_p <= 1:
        raise InputError(f"top_p must be above 0 and at most 1, got {params.top_p}.", param="top_p")
    if params.top_k < 0:
        raise InputError(f"top_k must be 0 (all) or more, got {params.top_k}.", param="top_k")


class Sampler:
    """The choice of one request's tokens, one after the other."""

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        self._random = random.Random(params.seed)

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""
        return self.params.temperature == 0

    def draw(self, logits_V: Tensor) -> int:
        """A token by lot; uses up one random number."""
        params = self.params
        kept = min(params.top_k or len(logits_V), len(logits_V))
        scores, ids = logits_V.double().topk(kept)
        # The best score is taken off first, so that a temperature near 0 gives -inf and not inf - inf.
        probabilities = ((scores - scores[0]) / params.temperature).softmax(-1)
        reached = probabilities.cumsum(-1)
        # A token stays while the ones before it have not reached top_p; the first one always stays.
        kept = int((reached - probabilities < params.top_p).sum())
        place = self._random.random() * float(reached[kept - 1])
        return int(ids[min(int((reached[:kept] <= place).sum()), kept - 1)])


def choose(logits_BV: Tensor, samplers: Sequence[Sampler]) -> list[int]:
    """The next token of each row."""
    best: list[int] = torch.argmax(logits_BV, dim=-1).tolist()
    return [
        token if sampler.greedy else sampler.draw(logits)
        for token, sampler, logits in zip(best, samplers, logits_BV, strict=True)
    ]
