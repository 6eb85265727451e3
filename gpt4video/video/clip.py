"""`Clip`: frames and when each is shown; `Sampling`: which frames of a video are looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gpt4video.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video are looked at.

    uniform     `num_frames` frames, each the middle of one of as many equal stretches of time
    fps         `fps` frames a second; fewer a second where that would be more than `num_frames`
    keyframes   the stream's own key frames, at most `num_frames`, evenly thinned
    all         every frame, at most `num_frames`
    """

    kind: Literal["uniform", "fps", "keyframes", "all"] = "uniform"
    """How frames are chosen."""
    num_frames: int = 16
    """Most frames (uniform: exactly this many, where the video has them)."""
    fps: float = 2.0
    """Frames a second, for `fps`."""
    start: float = 0.0
    """Seconds from the beginning at which the stretch of interest starts."""
    end: float | None = None
    """Where it ends, in seconds; None is the end of the video."""

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise InputError(f"num_frames must be at least 1, got {self.num_frames}.", param="num_frames")
        if self.fps <= 0:
            raise InputError(f"fps must be above 0, got {self.fps}.", param="fps")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise InputError(f"start must be >= 0 and end after it, got {self.start} to {self.end}.")


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames and when each is shown.

    frames    (T, H, W, 3) uint8, RGB, upright (rotation already applied)
    times     (T,) float64, seconds from the start of the video
    duration  seconds, of the whole video
    """

    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    duration: float

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.ndim != 4 or shape[0] < 1 or shape[3] != 3 or self.frames.dtype != np.uint8:
            raise InputError(f"frames must be (T >= 1, H, W, 3) uint8, got {shape} {self.frames.dtype}.")
        if self.times.shape != (shape[0],):
            raise InputError(f"times must be ({shape[0]},), got {self.times.shape}.")

    @classmethod
    def of(cls, frames: NDArray[np.uint8], fps: float) -> Clip:
        """A clip of evenly spaced frames."""
        times = np.arange(len(frames), dtype=np.float64) / fps
        return cls(frames, times, len(frames) / fps)

    @property
    def fps(self) -> float:
        """Mean frames a second of these frames (not of the file they came from)."""
        return len(self.frames) / self.duration if self.duration > 0 else 1.0

    @cached_property
    def hash(self) -> str:
        """SHA-256 over frames and times: equal clips are equal to every cache."""
        digest = hashlib.sha256(repr(self.frames.shape).encode())
        digest.update(np.ascontiguousarray(self.frames).data)
        digest.update(self.times.tobytes())
        return digest.hexdigest()
