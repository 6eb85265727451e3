"""What a video's packets are, and which of them bring the frames that are wanted.

Compressed video starts anew at key frames (K) and each other packet needs what came since. So frames are
fetched in runs, each from a key frame to the last frame wanted of it:

    packets   K . . . K . . . K . . . K . . .
    wanted        ^                 ^   ^
    decoded   K . .           K . . . K

Packets are stored in the order of decoding; their time stamps (pts) say in which order frames are shown.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpt4video.errors import VideoError
from gpt4video.video.timeline import Timeline


@dataclass
class Packets:
    """Every packet of a video stream, by its place in the file. `add` each, then `settle`."""

    tick: float
    """Seconds of one unit of the stream's clock."""
    rate: float = 0.0
    """Frames a second by the header; 0 where it does not say."""
    ordered: bool = False
    """Frames come out of the decoder in the order shown, but with time stamps that say nothing."""
    pts: list[int | None] = field(default_factory=list)
    """When each is shown, in ticks."""
    keys: list[int] = field(default_factory=list)
    """Places where decoding can start."""
    hidden: set[int] = field(default_factory=set)
    """Places that an edit list cuts away: decoded, since others need them, but not shown."""
    place: dict[int, int] = field(default_factory=dict)
    """Time stamp -> place, of what is shown."""
    shown: list[int] = field(default_factory=list)
    """Time stamps of what is shown, rising."""
    _first: int | None = None
    _last: tuple[int, int] | None = None

    def add(self, pts: int | None, *, key: bool = False, hidden: bool = False, length: int = 0) -> None:
        """Note the next packet; `length` is for how many ticks its frame stays, 0 if that is not said."""
        if key:
            self.keys.append(len(self.pts))
        if hidden:
            self.hidden.add(len(self.pts))
        if pts is not None:
            self._first = pts if self._first is None else min(self._first, pts)
            self._last = max(self._last or (pts, length), (pts, length))
        self.pts.append(pts)

    @property
    def span(self) -> float:
        """Seconds from the earliest to the latest frame noted so far."""
        return 0.0 if self._first is None or self._last is None else (self._last[0] - self._first) * self.tick

    def settle(self) -> None:
        """Put what was noted in the order shown. Raises `VideoError` when there is nothing to show."""
        if not self.pts:
            raise VideoError("The file has a video stream with nothing in it: damaged or cut short.")
        if sum(pts is not None for pts in self.pts) * 2 < len(self.pts):  # no clock, so frames are counted
            self.ordered, self.tick = True, 1 / (self.rate or 25.0)
            self.pts, self._last = list(range(len(self.pts))), (len(self.pts) - 1, 1)
        self.keys = self.keys or [0]
        # A recording may begin between two key frames; nothing can be shown before the first.
        self.place = {
            pts: place
            for place, pts in enumerate(self.pts)
            if pts is not None and place >= self.keys[0] and place not in self.hidden
        }
        self.shown = sorted(self.place)
        if not self.shown:
            raise VideoError("The file's edit list shows no frame of its video.")

    def timeline(self) -> Timeline:
        """What is shown when, in seconds from the first frame."""
        times = (np.array(self.shown, dtype=np.float64) - self.shown[0]) * self.tick
        stays = self._last[1] * self.tick if self._last else 0.0
        if stays <= 0 and len(times) > 1:
            stays = float(times[-1] - times[-2])
        elif stays <= 0 and self.rate:
            stays = 1 / self.rate
        keys = {self.pts[place] for place in self.keys if place not in self.hidden}
        which = [i for i, pts in enumerate(self.shown) if pts in keys]
        return Timeline(times, np.array(which, dtype=np.int64), float(times[-1]) + stays)

    @property
    def closed(self) -> bool:
        """Whether no frame stored after a key frame is shown before it."""
        keys, earliest = set(self.keys), math.inf
        for place in reversed(range(len(self.pts))):
            pts = self.pts[place]
            if pts is not None:
                if place in keys and earliest < pts:
                    return False
                earliest = min(earliest, pts)
        return True

    def plan(self, indices: Iterable[int]) -> list[Run]:
        """The runs that bring the frames with these indices (in the order shown) and decode least."""
        runs: list[Run] = []
        for index in sorted(indices):
            pts = self.shown[index]
            place = self.place[pts]
            start = self._start(place, pts)
            if runs and start <= runs[-1].reach:
                runs[-1].wanted.append(pts)
                runs[-1].reach = max(runs[-1].reach, place)
            else:
                # In an ordered stream the n-th frame out after a key frame is the n-th shown from there on.
                shown = self.shown[bisect.bisect_left(self.place_order, start) :] if self.ordered else None
                runs.append(Run(start, [pts], place, shown))
        return runs

    @property
    def place_order(self) -> list[int]:
        """Places of what is shown, in the order shown; rising in an ordered stream."""
        return [self.place[pts] for pts in self.shown]

    def _start(self, place: int, pts: int) -> int:
        """Where to start decoding for the frame stored at `place` and shown at `pts`: a key frame.

        Frames may be stored after a key frame and shown before it; those need the key frame before.
        """
        for k in range(bisect.bisect_right(self.keys, place) - 1, 0, -1):
            key = self.pts[self.keys[k]]
            if key is not None and key <= pts:
                return self.keys[k]
        return self.keys[0]


@dataclass
class Run:
    """One run of the decoder, from the packet at `start` until every frame of `wanted` has come out."""

    start: int
    """Place of the key frame it begins with."""
    wanted: list[int]
    """Time stamps still to come, rising."""
    reach: int
    """Place of the last packet that is needed for certain."""
    shown: list[int] | None = None
    """Time stamps of the frames that will come out, where they do not know their own."""
    _count: int = 0
    _on_screen: tuple[int, Any] | None = None

    def take(self, frames: Iterable[Any], *, last: bool = False) -> Iterator[tuple[int, Any]]:
        """(time stamp, frame) of what is wanted among the decoder's next frames; `last` if no more come.

        Where no frame comes at the time wanted, it is the one on screen at that time. None stands for a frame
        that the decoder itself finds damaged.
        """
        for frame in frames:
            pts = frame.pts
            if self.shown is not None:
                pts = self.shown[self._count] if self._count < len(self.shown) else None
                self._count += 1
            if pts is None:
                continue
            if frame.is_corrupt:
                yield pts, None
                continue
            while self.wanted and self.wanted[0] < pts:
                yield from self._give()
            self._on_screen = pts, frame
            if self.wanted and self.wanted[0] == pts:
                yield from self._give()
        while last and self.wanted:
            yield from self._give()

    def _give(self) -> Iterator[tuple[int, Any]]:
        self.wanted.pop(0)
        if self._on_screen is not None:
            yield self._on_screen
