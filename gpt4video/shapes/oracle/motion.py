"""From positions, radii and angles over time to a motion in the world's words, or None where none fits.

Lengths are in frame sides, times in seconds. Thresholds stand halfway between what the world draws: a slow
traveller that is seen for 0.8 s goes 0.07, a still object 0; growth doubles a radius; a spin turns 68 degrees
at least; an orbit is 0.14 wide, a hop 0.34 high.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.world import ORBIT

_MOVED = 0.045
_STILL = 0.035
_GROWN = 1.35
_SPUN = np.radians(40.0)
_STEADY = np.radians(22.0)
_SLOW, _FAST = 0.178, 0.196

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Movement:
    """A motion of the world, the speed of a traveller, and when it moves, in seconds."""

    motion: str | None = None
    speed: str | None = None
    window: tuple[float, float] | None = None


def movement(times: Series, x: Series, y: Series, radius: Series, angle: Series) -> Movement:
    """The motion of one object from its trustworthy frames; `angle` is unwrapped."""
    if len(times) < 4:
        return Movement()
    climbed = float(np.abs(np.diff(y)).sum())  # before smoothing, which would flatten quick hops
    x, y, radius = _smooth(x), _smooth(y), _smooth(radius)
    growth = float(radius[-2:].mean() / max(float(radius[:2].mean()), 1e-6))
    wide, high = float(np.ptp(x)), float(np.ptp(y))
    if growth > _GROWN or growth < 1 / _GROWN:
        steady = np.mean(np.sign(np.diff(radius)) == np.sign(growth - 1)) > 0.7
        if steady and max(wide, high) < 0.09:
            return Movement("growing" if growth > 1 else "shrinking")
        return Movement()
    if max(wide, high) < _STILL:
        return _turning(times, angle)
    if _circles(x, y):
        return Movement("circling")
    if high > 0.16 and wide < 0.07 and climbed > 1.6 * abs(y[-1] - y[0]) + 0.1:
        return Movement("bouncing")
    return _travel(times, x, y)


def _smooth(values: Series) -> Series:
    """Medians of three, so that one bad frame moves nothing; the ends stay."""
    if len(values) < 5:
        return values
    inner = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], inner, values[-1:]])


def _turning(times: Series, angle: Series) -> Movement:
    """Spinning or still."""
    angle = _smooth(angle)
    turned = float(angle[-1] - angle[0])
    if abs(turned) > _SPUN:
        steps = np.diff(angle) * np.sign(turned)
        back = float(-steps[steps < 0].sum())
        if back < 0.25 * abs(turned):
            return Movement("spinning", None, _window(times, (angle - angle[0]) / turned))
        return Movement()
    return Movement("still") if np.ptp(angle) < _STEADY else Movement()


def _circles(x: Series, y: Series) -> bool:
    """Whether the points lie on a circle of about the world's orbit and run most of the way round it."""
    a = np.stack([x, y, np.ones_like(x)], axis=1)
    solution = np.linalg.lstsq(a, x**2 + y**2, rcond=None)[0]
    cx, cy = solution[0] / 2, solution[1] / 2
    distance = np.hypot(x - cx, y - cy)
    radius = float(distance.mean())
    if not 0.55 * ORBIT < radius < 1.6 * ORBIT or distance.std() > 0.22 * radius:
        return False
    turn = np.unwrap(np.arctan2(y - cy, x - cx))
    return bool(abs(turn[-1] - turn[0]) > 2 * np.pi * 0.6)


def _travel(times: Series, x: Series, y: Series) -> Movement:
    """A straight way along one axis, or nothing."""
    dx, dy = float(x[-1] - x[0]), float(y[-1] - y[0])
    along, across, way = (x, y, dx) if abs(dx) >= abs(dy) else (y, x, dy)
    if abs(way) < _MOVED or np.ptp(across) > max(0.05, 0.4 * abs(way)):
        return Movement()
    progress = (along - along[0]) / way
    steps = np.diff(progress)
    if -steps[steps < 0].sum() > 0.25:
        return Movement()
    names = ("left", "right") if along is x else ("up", "down")
    begin, end = _crossing(times, progress, 0.08), _crossing(times, progress, 0.92)
    pace = 0.84 * abs(way) / max(end - begin, 1e-6)
    speed = "slow" if pace < _SLOW else "fast" if pace > _FAST else None
    return Movement(names[int(way > 0)], speed, _window(times, progress))


def _crossing(times: Series, progress: Series, level: float) -> float:
    """When the progress, made monotone, reaches a level."""
    rising = np.maximum.accumulate(progress) + 1e-9 * np.arange(len(progress))
    return float(np.interp(level, rising, times))


def _window(times: Series, progress: Series) -> tuple[float, float]:
    """When something that goes from 0 to 1 at an even pace begins and ends."""
    begin, end = _crossing(times, progress, 0.1), _crossing(times, progress, 0.9)
    margin = (end - begin) / 8
    return max(begin - margin, float(times[0])), min(end + margin, float(times[-1]))
