"""From a track of coverage to what can be told of that object: its shape, size, motion, speed and event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.oracle.blobs import Track
from gpt4video.shapes.oracle.motion import Movement, movement
from gpt4video.shapes.oracle.outline import SYMMETRY, Fit, bank, fit
from gpt4video.shapes.oracle.pixels import FOREIGN, SIDE, Bools, Floats, grow
from gpt4video.shapes.world import SHAPES, Event

Series = NDArray[np.float64]

STEEP = 0.145
"""Steepness of edges under which an object is a smear."""
_MISFIT = 0.11
"""Misfit of the right outline is under 0.03 on renders, under 0.09 on blurred and worn ones."""
_MARGIN = 1.3
"""The second best shape must fit this much worse, or nobody can tell."""
_RADII: dict[str, tuple[float, float]] = {"small": (0.095, 0.152), "large": (0.172, 0.26)}
"""Radii that are called small and large; the world has 0.125 and 0.205."""


@dataclass(frozen=True)
class Seen:
    """One object; None is what cannot be told. x, y, radius (T,) in frame sides from the centre."""

    color: str | None
    shape: str | None
    size: str | None
    motion: str | None
    speed: str | None
    x: Series
    y: Series
    radius: Series
    visible: Bools
    event: Event | None = None
    new_color: str | None = None
    window: tuple[float, float] | None = None
    """When it moves, in seconds, for travels and spins."""


def _whole(track: Track, front: Track) -> tuple[Floats, bool]:
    """The object behind `front`, put together from what shows of it (1, H, W), and whether it was still."""
    frames = track.visible
    shows = ~grow(front.coverage[frames] > 0.1, 1)
    coverage = track.coverage[frames]
    often = shows.sum(0)
    whole = np.where(often > 0, (coverage * shows).sum(0) / np.maximum(often, 1), 0).astype(np.float32)
    miss = (np.abs(coverage - whole) * shows).sum((1, 2)) / max(float(whole.sum()), 1e-6)
    return whole[None], bool(np.quantile(miss, 0.8) < 0.2)


def seen(track: Track, times: Series, front: Track | None) -> Seen | None:
    """All that can be told of one object, `front` passing before it; None when it is a smear."""
    if track.steepness < STEEP:
        return None
    height, width = track.coverage.shape[1:]
    if front is None:
        found, still = fit(track.coverage, track.visible), False
        sure = track.visible
    else:
        whole, still = _whole(track, front)
        found = fit(whole, np.ones(1, np.bool_))
        sure = np.ones(1, np.bool_)
    shape = _shape(found, sure)
    likely = SHAPES.index(shape) if shape else int(np.argmin(np.median(found.misfit[sure], axis=0)))
    name = SHAPES[likely]
    x, y = (found.x - width / 2) / SIDE, (found.y - height / 2) / SIDE
    radius = found.disc * found.zoom[:, likely] * bank().scale[name] / SIDE
    angle = _unwrapped(found.angle[sure, likely], SYMMETRY[name])
    x[sure], y[sure] = _pivot(name, x[sure], y[sure], radius[sure], angle)
    if front is None:
        moved = movement(times[sure], x[sure], y[sure], radius[sure], angle)
        if shape is None and moved.motion == "still":
            moved = Movement()  # what has no outline might spin
    else:
        moved = Movement("still" if still else None)
        x, y, radius = (np.repeat(values, len(times)) for values in (x, y, radius))
    color = None if track.color == FOREIGN else track.color
    if shape is None and (color is None or moved.motion is None):
        return None
    sized = shape is not None and moved.motion not in ("growing", "shrinking")
    size = _size(float(np.median(radius[track.visible]))) if sized else None
    event, new_color = _event(track)
    return Seen(
        color=color,
        shape=shape,
        size=size,
        motion=moved.motion,
        speed=moved.speed,
        x=x,
        y=y,
        radius=radius,
        visible=track.visible,
        event=event,
        new_color=new_color,
        window=moved.window,
    )


def smear(track: Track) -> Seen:
    """It is there, and that is all."""
    nowhere = np.full(len(track.visible), np.nan)
    return Seen(None, None, None, None, None, nowhere, nowhere, nowhere, track.visible)


def _shape(found: Fit, sure: Bools) -> str | None:
    """The outline that fits best over the trustworthy frames."""
    misfit = np.median(found.misfit[sure], axis=0)
    order = np.argsort(misfit)
    best, second = misfit[order[0]], misfit[order[1]]
    return SHAPES[order[0]] if best < _MISFIT and second > _MARGIN * best else None


def _unwrapped(angle: Series, symmetry: float) -> Series:
    """Angles over time without the jumps of a symmetric outline, from nearly upright on."""
    if not symmetry:
        return np.zeros_like(angle)
    unwrapped: Series = np.unwrap(angle, period=symmetry)
    return unwrapped - symmetry * np.round(unwrapped[0] / symmetry)


def _pivot(shape: str, x: Series, y: Series, radius: Series, angle: Series) -> tuple[Series, Series]:
    """The point an object turns about, from its centre of mass; a triangle's lies a little beside it."""
    mx, my = bank().center[shape]
    px = x - radius * (np.cos(angle) * mx - np.sin(angle) * my)
    py = y - radius * (np.sin(angle) * mx + np.cos(angle) * my)
    # A drawing may turn it about its centre of mass instead: the steadier of the two is the pivot.
    steadier = np.ptp(px) + np.ptp(py) < np.ptp(x) + np.ptp(y) + 0.004
    return (px, py) if steadier else (x, y)


def _size(radius: float) -> str | None:
    """The size's name, None between them and far from both."""
    return next((name for name, (low, high) in _RADII.items() if low < radius < high), None)


def _event(track: Track) -> tuple[Event | None, str | None]:
    """What happens to the object in time, and the colour it turns to."""
    visible = track.visible
    if track.new_color is not None:
        return "recolors", None if track.new_color == FOREIGN else track.new_color
    shown = np.flatnonzero(visible)
    begin, end = int(shown[0]), int(shown[-1])
    late, early = begin > 0.15 * len(visible), end < 0.85 * (len(visible) - 1)
    if late == early:
        return None, None
    return ("appears" if late else "vanishes"), None
