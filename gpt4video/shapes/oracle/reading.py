"""Frames -> `Reading`: what a clip of the shapes world shows, from its pixels alone.

    background   the rim's colour, nearest plain background; None: nothing else is read
    things       one per colour; what follows another in one place is the same object in another colour
    together     count, left of, above, who passes in front of whom, which moves first

None is what cannot be told. An object whose edges are smeared is None in everything, and so is the count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpt4video.errors import InputError
from gpt4video.shapes.oracle.blobs import Track, center_of, tracks_of
from gpt4video.shapes.oracle.pixels import Floats, background_of, grow, reduced
from gpt4video.shapes.oracle.things import STEEP, Seen, seen, smear

_MANY = 5
"""More objects than this are a pattern, not a scene."""
_LEFTOVER = 20.0
"""Pixels a frame that belong to nothing, over which the objects cannot be counted."""
_FAINT = 10.0
"""Distance in RGB from the background at which a block of 8x8 pixels holds a trace of something."""
_GAP = 0.05
"""Distance over which one thing is left of or above another. The world says so from 0.08 and is silent below;
the difference allows for a drawing's unsteadiness."""


@dataclass(frozen=True)
class Reading:
    """What a clip shows."""

    background: str | None = None
    count: int | None = None
    things: tuple[Seen, ...] = ()
    passes: tuple[tuple[int, int], ...] = ()
    """Pairs of indices (in front, behind) of objects of which one passes in front of the other."""
    first: int | None = None
    """Index of the object that moves first, where one has moved before the other begins."""

    def left_of(self, a: int, b: int) -> bool | None:
        """Whether `a` is left of `b` whenever both are visible; None where it changes or is too close."""
        return self._ordered(a, b, "x")

    def above(self, a: int, b: int) -> bool | None:
        """Whether `a` is above `b` whenever both are visible; None where it changes or is too close."""
        return self._ordered(a, b, "y")

    def _ordered(self, a: int, b: int, axis: str) -> bool | None:
        one, other = self.things[a], self.things[b]
        both = one.visible & other.visible
        if not both.any():
            return None
        gap = (getattr(other, axis) - getattr(one, axis))[both]
        if (gap > _GAP).all():
            return True
        return False if (gap < -_GAP).all() else None


def read(frames: NDArray[np.uint8], fps: float = 8.0) -> Reading:
    """What the frames (T, H, W, 3), shown `fps` a second, let one see."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.size == 0 or frames.dtype != np.uint8:
        raise InputError(f"frames must be (T >= 1, H, W, 3) uint8, got {frames.shape} {frames.dtype}.")
    stride = max(1, int(fps // 8))  # eight a second are enough for every motion
    small = reduced(frames[::stride])
    times = np.arange(len(small)) * stride / fps
    background, base = background_of(small)
    if background is None:
        return Reading()
    offset = small - base[:, None, None]
    tracks = tracks_of(offset, base.mean(0))
    if len(tracks) > _MANY:
        return Reading(background)
    if _smeared(tracks):
        return Reading(background, None, tuple(smear(t) for t in tracks))
    passes = _passes(tracks)
    fronts = {behind: tracks[front] for front, behind in passes}
    told = [seen(track, times, fronts.get(i)) for i, track in enumerate(tracks)]
    clear = None not in told and _leftover(offset, tracks) < _LEFTOVER
    things = tuple(smear(track) if t is None else t for t, track in zip(told, tracks, strict=True))
    sharp = tuple(pair for pair in passes if all(told[i] is not None for i in pair))
    return Reading(background, len(things) if clear else None, things, sharp, _first(things))


def _passes(tracks: list[Track]) -> list[tuple[int, int]]:
    """(front, behind): of two objects whose places overlap, the one behind loses sight of part of itself."""
    result = []
    for i, a in enumerate(tracks):
        for j in range(i + 1, len(tracks)):
            b = tracks[j]
            both = np.flatnonzero(a.visible & b.visible)
            if len(both) < 2:
                continue
            ca, cb = (np.array([center_of(t.coverage[n]) for n in both]) for t in (a, b))
            reach = np.sqrt(_full(a) / np.pi) + np.sqrt(_full(b) / np.pi)
            meet = both[np.hypot(*(ca - cb).T) < 0.75 * reach]
            if len(meet) < 2:
                continue
            lost = [1 - t.coverage[meet].sum((1, 2)) / max(_full(t), 1e-6) for t in (a, b)]
            worst = [float(np.sort(one)[-2:].mean()) for one in lost]
            if max(worst) > 0.07 and abs(worst[0] - worst[1]) > 0.03:
                result.append((i, j) if worst[0] < worst[1] else (j, i))
    return result


def _full(track: Track) -> float:
    """The object's mass when nothing hides it."""
    return float(np.quantile(track.coverage[track.visible].sum((1, 2)), 0.9))


def _first(things: tuple[Seen, ...]) -> int | None:
    """Of two objects that move one after the other, the earlier one."""
    if len(things) != 2 or things[0].window is None or things[1].window is None:
        return None
    (a0, a1), (b0, b1) = things[0].window, things[1].window
    slack = 0.25 * max(min(a1 - a0, b1 - b0), 1e-6)
    if a1 < b0 + slack:
        return 0
    return 1 if b1 < a0 + slack else None


def _smeared(tracks: list[Track]) -> bool:
    """Whether most of what shows has no edges."""
    masses = [float(t.coverage.sum()) for t in tracks]
    soft = [mass for mass, t in zip(masses, tracks, strict=True) if t.steepness < STEEP]
    return sum(soft) > 0.4 * sum(masses)


def _leftover(offset: Floats, tracks: list[Track]) -> float:
    """Pixels a frame that differ from the background and belong to no object."""
    if not tracks:  # nothing must really be nothing, not something blurred away
        frames, rows, columns = (offset.shape[0], offset.shape[1] // 8, offset.shape[2] // 8)
        blocks = offset[:, : rows * 8, : columns * 8].reshape(frames, rows, 8, columns, 8, 3).mean((2, 4))
        return float((np.linalg.norm(blocks, axis=-1) > _FAINT).sum((1, 2)).mean()) * 64
    far = np.einsum("thwc,thwc->thw", offset, offset) > 36.0**2
    for track in tracks:
        far &= ~grow(track.coverage > 0.3, 3)
    return float(far.sum((1, 2)).mean())
