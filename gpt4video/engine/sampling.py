"""From the scores of the next token to a token: greedy, or drawn by temperature, top-k, top-p and min-p.

    probabilities, most likely first   |---- a ----|-- b --|- c -|d|      one random number u in [0, 1)
    the token is where u falls                   ^ u

Before that, what the reply has used already may lose by penalties, and its end may have to wait:

    repetition   score / r where above 0, score * r where below      Keskar et al. 2019 (CTRL)
    presence     score - p                                           OpenAI's API
    frequency    score - f * times used

Penalties look at the reply alone, not at the prompt, of which a video's part has no tokens.

Each request has random numbers of its own, one a token, so a seed gives the same reply whoever else is in the
batch (up to the rounding by which scores of a larger batch differ). Suffixes: B batch, V vocabulary.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from gpt4video.errors import InputError
from gpt4video.messages import SamplingParams

FITS: dict[str, tuple[Callable[[float], bool], str]] = {
    "max_tokens": (lambda n: n >= 1, "at least 1"),
    "temperature": (lambda t: t >= 0, "0 or more"),
    "top_p": (lambda p: 0 < p <= 1, "above 0 and at most 1"),
    "top_k": (lambda k: k >= 0, "0 (all) or more"),
    "min_p": (lambda p: 0 <= p <= 1, "0 to 1"),
    "repetition_penalty": (lambda r: r > 0, "above 0"),
    "presence_penalty": (lambda p: True, "finite"),
    "frequency_penalty": (lambda f: True, "finite"),
    "min_tokens": (lambda n: n >= 0, "0 or more"),
}
"""Which numbers can be sampled by, and in words."""


def check(params: SamplingParams) -> None:
    """Raise `InputError` for numbers that cannot be sampled by."""
    for name, (fits, words) in FITS.items():
        value = getattr(params, name)
        if not (math.isfinite(value) and fits(value)):
            raise InputError(f"{name} must be {words}, got {value}.", param=name)


class Sampler:
    """The choice of one request's tokens, one after the other."""

    def __init__(self, params: SamplingParams, stops: Collection[int] = ()) -> None:
        """`stops` are the tokens that end a reply; before `min_tokens` none of them comes."""
        self.params = params
        self._random = random.Random(params.seed)
        self._stops = sorted(stops)
        self._used: Counter[int] = Counter()

    def next(self, logits_V: Tensor, best: int) -> int:
        """The next token by these scores, of which `best` has the highest; remembers it."""
        if (bent_V := self._bent(logits_V)) is not logits_V:
            logits_V, best = bent_V, int(bent_V.argmax())
        token = best if self.params.temperature == 0 else self.draw(logits_V)
        self._used[token] += 1
        return token

    def _bent(self, logits_V: Tensor) -> Tensor:
        """The scores after penalties; the very same tensor where there are none."""
        params = self.params
        waits = self._used.total() < params.min_tokens and bool(self._stops)
        penalties = (params.repetition_penalty, params.presence_penalty, params.frequency_penalty)
        if not waits and (not self._used or penalties == (1.0, 0.0, 0.0)):
            return logits_V
        bent_V = logits_V.clone()
        if self._used:
            ids_U = torch.tensor(list(self._used), device=logits_V.device)
            times_U = torch.tensor(list(self._used.values()), device=logits_V.device)
            scores_U = bent_V[ids_U]
            repetition, presence, frequency = penalties
            scores_U = torch.where(scores_U > 0, scores_U / repetition, scores_U * repetition)
            bent_V[ids_U] = scores_U - presence - frequency * times_U
        if waits:
            bent_V[self._stops] = -torch.inf
        return bent_V

    def draw(self, logits_V: Tensor) -> int:
        """A token by lot; uses up one random number."""
        params = self.params
        kept = min(params.top_k or len(logits_V), len(logits_V))
        scores, ids = logits_V.double().topk(kept)
        # The best score is taken off first, so that a temperature near 0 gives -inf and not inf - inf.
        probabilities = ((scores - scores[0]) / params.temperature).softmax(-1)
        reached = probabilities.cumsum(-1)
        # A token stays while the ones before it have not reached top_p; the first one always stays.
        stays = (reached - probabilities < params.top_p) & (probabilities >= params.min_p * probabilities[0])
        kept = int(stays.sum())
        place = self._random.random() * float(reached[kept - 1])
        return int(ids[min(int((reached[:kept] <= place).sum()), kept - 1)])


def choose(logits_BV: Tensor, samplers: Sequence[Sampler]) -> list[int]:
    """The next token of each row."""
    best: list[int] = torch.argmax(logits_BV, dim=-1).tolist()
    return [
        sampler.next(logits, token) for token, sampler, logits in zip(best, samplers, logits_BV, strict=True)
    ]
