"""Finished arms, and figures over the seeds of one setting: means with their spread.

A `Group` is all seeds of one placement, depth, rate and embedding. Figures of arms that broke are left out of
the means, and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev
from typing import Any

from gpt4video.training.norms.config import Setting
from gpt4video.training.norms.measure import FP16_LIMIT

COLLAPSED = 0.1
"""An arm has diverged when it broke, or is within so many nats of knowing the frequencies of ids alone."""


@dataclass(frozen=True)
class Spread:
    """A mean over seeds, its standard deviation and the number of seeds."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None of no values."""
        if not values:
            return None
        return cls(mean(values), stdev(values) if len(values) > 1 else 0.0, len(values))

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.std / math.sqrt(self.n)


@dataclass(frozen=True)
class Arm:
    """One trained decoder: its setting, and what `run_arm` found."""

    setting: Setting
    found: dict[str, Any]

    @property
    def diverged(self) -> bool:
        """Whether it broke, or knows no more than the frequencies of ids."""
        loss: float | None = self.found["validation"]
        return loss is None or loss > self.found["unigram_entropy"] - COLLAPSED

    def moment(self, share: float) -> dict[str, Any] | None:
        """What was seen after this share of the training, or the nearest before; None if it broke earlier."""
        if share > 0 and self.found["broke_at_step"] is not None:
            return None
        seen: list[dict[str, Any]] = [m for m in self.found["moments"] if m["share"] <= share]
        return seen[-1]

    def gradients(self, share: float) -> list[float] | None:
        """Gradient norm of each layer, attention and MLP together."""
        if (moment := self.moment(share)) is None:
            return None
        both = zip(*moment["gradients"].values(), strict=True)
        return [math.hypot(*(x or 0.0 for x in parts)) for parts in both]

    def stream(self, figure: str, share: float = 1.0) -> list[float] | None:
        """`variance`, `mean` or `largest` of what enters each block and of what leaves the last."""
        moment = self.moment(share)
        values: list[float] | None = None if moment is None else moment["stream"][figure]
        return None if values is None or None in values else values

    def neighbours(self) -> list[float] | None:
        """Angular distance that each layer moves the stream of the last token by."""
        values = [row[0] for row in self.found["angles"]]
        return None if None in values else values

    def removal(self) -> list[float] | None:
        """Rise of the loss without each layer."""
        values: list[float] = self.found["removal"]
        return None if self.found["validation"] is None or None in values else values


@dataclass(frozen=True)
class Group:
    """All seeds of one setting."""

    placement: str
    layers: int
    rate: float
    embedding: str
    arms: tuple[Arm, ...]

    @property
    def diverged(self) -> int:
        """How many seeds diverged."""
        return sum(arm.diverged for arm in self.arms)

    @cached_property
    def loss(self) -> Spread | None:
        """Held-out nats a token, collapsed arms included; None where all broke."""
        found = [arm.found["validation"] for arm in self.arms]
        return Spread.of([loss for loss in found if loss is not None])

    def figure(self, of: Callable[[Arm], float | None]) -> Spread | None:
        """Any number of an arm, over the seeds."""
        found = [value for arm in self.arms if (value := of(arm)) is not None and math.isfinite(value)]
        return Spread.of(found)

    def profile(self, of: Callable[[Arm], list[float] | None]) -> list[float]:
        """Any list of numbers of an arm, one a layer, averaged over the seeds."""
        found = [values for arm in self.arms if (values := of(arm)) is not None]
        return [mean(column) for column in zip(*found, strict=True)]


@dataclass(frozen=True)
class Results:
    """Everything that is there so far."""

    arms: list[Arm]
    norms: dict[str, Any]
    """`exactness` and `speed` of the norms."""

    @cached_property
    def groups(self) -> list[Group]:
        """The arms by setting, in the order in which they were asked for."""
        by_setting: dict[tuple[str, int, float, str], list[Arm]] = {}
        for arm in self.arms:
            s = arm.setting
            by_setting.setdefault((s.placement, s.layers, s.rate, s.embedding), []).append(arm)
        return [Group(*key, tuple(arms)) for key, arms in by_setting.items()]

    def group(self, placement: str, layers: int, rate: float, embedding: str = "norm") -> Group | None:
        """The seeds of one setting, if there are any."""
        wanted = (placement, layers, rate, embedding)
        found = (g for g in self.groups if (g.placement, g.layers, g.rate, g.embedding) == wanted)
        return next(found, None)

    def distinct(self, field: str) -> list[Any]:
        """The values of one field of the settings; numbers sorted, words in order."""
        values = list(dict.fromkeys(getattr(group, field) for group in self.groups))
        return values if field in ("placement", "embedding") else sorted(values)

    @cached_property
    def main_layers(self) -> int:
        """The depth at which the most rates were tried; of equals the deepest."""
        rates = {
            layers: {g.rate for g in self.groups if g.layers == layers} for layers in self.distinct("layers")
        }
        return max(rates, key=lambda layers: (len(rates[layers]), layers))

    def best(self, placement: str, embedding: str = "norm") -> Group | None:
        """A placement at its best rate, at the main depth."""
        tried = [
            group
            for group in self.groups
            if (group.placement, group.layers, group.embedding) == (placement, self.main_layers, embedding)
            and group.loss is not None
        ]
        return min(tried, key=_mean_loss, default=None)

    @cached_property
    def deepest(self) -> tuple[int, float] | None:
        """The greatest depth, and the rate there at which pre is best: where layers are compared.

        Of the rates at which no arm diverged, if one has as many seeds: the layers of a collapsed model say
        nothing.
        """
        normed = [g for g in self.groups if g.embedding == "norm"]
        pre = [g for g in normed if g.placement == "pre" and g.loss]
        if not pre:
            return None
        depth = max(group.layers for group in pre)
        broken = {g.rate for g in normed if g.layers == depth and g.diverged}
        deep = [group for group in pre if group.layers == depth]
        seeds = max(len(group.arms) for group in deep)
        whole = [group for group in deep if group.rate not in broken and len(group.arms) == seeds]
        return depth, min(whole or deep, key=_mean_loss).rate

    def winner(self) -> str | None:
        """The placement of the least loss at its best rate; a tie within one standard error goes to peri."""
        best = {p: group for p in self.distinct("placement") if (group := self.best(p)) is not None}
        if not best:
            return None
        first = min(best, key=lambda p: _mean_loss(best[p]))
        if (peri := best.get("peri")) is not None and first != "peri":
            ours, theirs = best[first].loss, peri.loss
            assert ours is not None and theirs is not None, "groups without a loss are not the best"
            if theirs.mean - ours.mean <= math.hypot(ours.error, theirs.error):
                return "peri"
        return first


def _mean_loss(group: Group) -> float:
    return math.inf if group.loss is None else group.loss.mean


def first_by_last(values: list[float] | None) -> float | None:
    """How much larger the first layer's is than the last's."""
    return None if not values or not values[-1] else values[0] / values[-1]


def largest_by_least(values: list[float] | None) -> float | None:
    """How uneven the layers are."""
    return None if not values or not min(values) else max(values) / min(values)


def later_half(values: list[float] | None) -> float | None:
    """Mean over the deeper half of the layers."""
    return None if not values else mean(values[len(values) // 2 :])


def largest_anywhere(arm: Arm) -> float | None:
    """The largest activation of the stream in any layer at any moment."""
    found = [x for m in arm.found["moments"] for x in m["stream"]["largest"]]
    return None if None in found else max(found)


def fp16_share(value: float) -> float:
    """How much of what 16-bit floats can hold that is."""
    return value / FP16_LIMIT


def straightness(values: list[float]) -> float:
    """R^2 of the straight line through the values over their index; 1 where they do not change at all."""
    n = len(values)
    middle, average = (n - 1) / 2, mean(values)
    slope = sum((i - middle) * (v - average) for i, v in enumerate(values)) / sum(
        (i - middle) ** 2 for i in range(n)
    )
    total = sum((v - average) ** 2 for v in values)
    rest = sum((v - average - slope * (i - middle)) ** 2 for i, v in enumerate(values))
    return 1 - rest / total if total else 1.0
