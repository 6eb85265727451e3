"""A measure: the share of right answers, how sure of it one can be, and the least it should be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

Z95 = 1.959963984540054
"""The normal distribution has 95 % of its mass within this many standard deviations."""

BARS: dict[str, float] = {
    "qa/all": 0.95,
    "qa/second_renderer": 0.90,
    "qa/*": 0.90,
    "handwritten/all": 0.85,
    "draw/one/color": 0.97,
    "draw/one/shape": 0.95,
    "draw/one/motion": 0.95,
    "draw/one/everything": 0.90,
    "draw/two/everything": 0.70,
    "decide": 0.99,
    "edit/posted/everything": 0.85,
    "oracle/*/everything": 0.0,
    "oracle/renders/*": 0.995,
    "oracle/vae/*": 0.99,
}
"""The least a measure should reach, by name; the first pattern that fits counts, 0 is none."""


def bar_of(name: str) -> float | None:
    """The bar of a measure, where it has one."""
    return next((bar for pattern, bar in BARS.items() if fnmatchcase(name, pattern)), 0.0) or None


def wilson(right: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a share: `right` of `n` (Wilson 1927). Of nothing it is (0, 1).

    Unlike the plain normal one it stays within 0 and 1 and is honest near them.
    """
    if n == 0:
        return 0.0, 1.0
    share = right / n
    middle = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


@dataclass(frozen=True)
class Measure:
    """One line of a report."""

    value: float
    """Share of right answers, 0 to 1."""
    n: int
    """How many were asked."""
    seed: int
    """What they were made from."""
    interval: tuple[float, float]
    """Wilson interval of the value, 95 %."""
    bar: float | None = None
    """The least it should be; None: there is no such demand."""

    @classmethod
    def of(cls, name: str, outcomes: Sequence[bool], seed: int) -> Measure:
        """The measure called `name` of at least one outcome, rounded to four digits."""
        right, n = sum(outcomes), len(outcomes)
        low, high = wilson(right, n)
        return cls(round(right / n, 4), n, seed, (round(low, 4), round(high, 4)), bar_of(name))

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        return None if self.bar is None else self.value >= self.bar

    def as_json(self) -> dict[str, Any]:
        """`{value, n, seed, interval, bar}`."""
        return {
            "value": self.value,
            "n": self.n,
            "seed": self.seed,
            "interval": list(self.interval),
            "bar": self.bar,
        }

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> Measure:
        """The same, read back."""
        low, high = data["interval"]
        return cls(data["value"], data["n"], data["seed"], (low, high), data["bar"])
