"""When each frame of a video is shown, and which frames a `Sampling` picks from that.

A frame is shown from its own time until the next one's. "Uniform" means uniform in time, so in a video of
variable frame rate a frame that stays longer covers more of the stretch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpt4video.errors import InputError
from gpt4video.video.clip import Sampling

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Every frame of a video in the order shown.

    times     (N,) float64, seconds from the first frame, rising
    keys      (K,) int64, which of them are key frames
    duration  seconds, to the end of the last frame
    """

    times: NDArray[np.float64]
    keys: Indices
    duration: float

    def shown_at(self, seconds: NDArray[np.float64]) -> Indices:
        """Index of the frame on screen at each of these moments."""
        # Matroska rounds times to a millisecond: a moment that close to a cut belongs to what follows it.
        slack = 0.002
        if len(self.times) > 1:
            slack = min(slack, float(np.diff(self.times).min()) / 4)
        shown = np.searchsorted(self.times, seconds + slack, side="right") - 1
        return np.clip(shown, 0, len(self.times) - 1).astype(np.int64)


def choose(timeline: Timeline, sampling: Sampling) -> Indices:
    """(T,) rising indices of the frames that `sampling` looks at; at least one, at most `num_frames`.

    Raises `InputError` when the stretch of interest starts after the end of the video.
    """
    start, end = sampling.start, timeline.duration
    if sampling.end is not None:
        end = min(end, sampling.end)
    if start > 0 and start >= timeline.duration:
        raise InputError(
            f"start is {start:g} s, but the video ends at {timeline.duration:g} s.", param="start"
        )
    first, last = timeline.shown_at(np.array([start, end]))
    if last > first and timeline.times[last] >= end - 1e-9:
        last -= 1  # a frame that comes exactly at the end is not in the stretch any more
    return _KINDS[sampling.kind](timeline, sampling, start, end, np.arange(first, last + 1))


def _uniform(timeline: Timeline, sampling: Sampling, start: float, end: float, inside: Indices) -> Indices:
    n = sampling.num_frames
    if len(inside) <= n:
        return inside
    middles = start + (np.arange(n) + 0.5) * (end - start) / n
    chosen = np.unique(np.clip(timeline.shown_at(middles), inside[0], inside[-1]))
    # One long frame may cover several stretches. What is left over goes to the frames farthest from the rest.
    while len(chosen) < n:
        others = np.setdiff1d(inside, chosen)
        after = np.searchsorted(chosen, others)
        times = np.concatenate([[-np.inf], timeline.times[chosen], [np.inf]])
        t = timeline.times[others]
        distance = np.minimum(t - times[after], times[after + 1] - t)
        chosen = np.union1d(chosen, others[np.argmax(distance)])
    return chosen


def _fps(timeline: Timeline, sampling: Sampling, start: float, end: float, inside: Indices) -> Indices:
    count = int(np.ceil((end - start) * sampling.fps - 1e-6))
    most = max(1, min(count, sampling.num_frames))
    # Where they are more than fit, the rate gives way, and not the end of the video.
    step = (end - start) / most if count > most else 1 / sampling.fps
    ticks = start + np.arange(most, dtype=np.float64) * step
    return np.unique(np.clip(timeline.shown_at(ticks), inside[0], inside[-1]))


def _keyframes(timeline: Timeline, sampling: Sampling, start: float, end: float, inside: Indices) -> Indices:
    keys = np.intersect1d(timeline.keys, inside)
    if not len(keys):
        return inside[:1]
    n = min(len(keys), sampling.num_frames)
    return keys[((np.arange(n) + 0.5) * len(keys) / n).astype(np.int64)]


def _all(timeline: Timeline, sampling: Sampling, start: float, end: float, inside: Indices) -> Indices:
    return inside[: sampling.num_frames]


_KINDS: dict[str, Callable[[Timeline, Sampling, float, float, Indices], Indices]] = {
    "uniform": _uniform,
    "fps": _fps,
    "keyframes": _keyframes,
    "all": _all,
}
