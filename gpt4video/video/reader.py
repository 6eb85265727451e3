"""What a decoder is to the rest: a `Reader`, the facts it tells, and the limits it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gpt4video.errors import InputError, VideoError
from gpt4video.video.timeline import Indices, Timeline


class File(Protocol):
    """A file that is open for reading."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...

    def tell(self) -> int:
        """The place at hand."""
        ...


Media = Path | bytes | File
"""A file that is there, the bytes of one, or one that is open already."""


class Left(Exception):
    """Whoever asked for the frames has left: unwinds the work between two packets."""


HasLeft = Callable[[], bool]
"""Is asked before every packet; True ends the work with `Left`."""


def stays() -> bool:
    """Who waits for the frames, however long it takes."""
    return False


@dataclass(frozen=True)
class Limits:
    """What is too much. Every field is checked before the work that it bounds."""

    max_bytes: int = 512 * 2**20
    """Largest file, in bytes."""
    max_pixels: int = 8192 * 4320
    """Largest frame, in pixels: 8K."""
    max_picture_pixels: int = 100_000_000
    """Largest picture that is not a video's, in pixels."""
    max_frame_side: int = 16384
    """Longest side of a frame as it is stored, in pixels."""
    max_streams: int = 64
    """Most streams in one file: of pictures, sound, subtitles and all else."""
    max_duration: float = 3600.0
    """Longest video, in seconds."""
    max_frames: int = 500_000
    """Most frames a file may hold; one hour at 120 frames a second has 432,000."""
    max_output_bytes: int = 2**30
    """Most memory that the frames handed back may take, in bytes."""
    max_decoded_bytes: int = 2**40
    """Most that is decoded on the way to the frames handed back, in bytes of raw frames."""
    max_threads: int = 4
    """Most threads that decode one video."""

    def check_size(self, size: int) -> None:
        """Raise `VideoError` for a file of more bytes than allowed."""
        if size > self.max_bytes:
            raise VideoError(
                f"The video is {size / 2**20:.1f} MiB; at most {self.max_bytes / 2**20:g} MiB fit.",
                code="video_too_large",
            )

    def check_frame(self, width: int, height: int) -> None:
        """Raise `VideoError` for a frame of more pixels than allowed."""
        self._check_pixels("video", width, height, self.max_pixels)

    def check_picture(self, width: int, height: int) -> None:
        """Raise `VideoError` for a picture of more pixels than allowed."""
        self._check_pixels("picture", width, height, self.max_picture_pixels)

    def _check_pixels(self, what: str, width: int, height: int, most: int) -> None:
        if width * height > most or max(width, height) > self.max_frame_side:
            raise VideoError(
                f"The {what} is {width}x{height}; at most {most:,} pixels fit, and at most "
                f"{self.max_frame_side:,} on a side.",
                code="video_too_large",
            )

    def check_streams(self, count: int) -> None:
        """Raise `VideoError` for a file of more streams than allowed."""
        if count > self.max_streams:
            raise VideoError(
                f"The file holds {count} streams; at most {self.max_streams} fit.", code="video_too_large"
            )

    def check_decoded(self, size: int) -> None:
        """Raise `VideoError` once more was decoded than allowed; `size` is all of it so far."""
        if size > self.max_decoded_bytes:
            raise VideoError(
                f"More than {self.max_decoded_bytes / 2**30:g} GiB of frames lie before those asked for. "
                "A shorter or smaller video fits, or one with more key frames.",
                code="video_too_large",
            )

    def check_length(self, seconds: float, frames: int = 0) -> None:
        """Raise `VideoError` for a video that is longer, or holds more frames, than allowed."""
        if seconds > self.max_duration:
            raise VideoError(
                f"The video lasts {seconds:.1f} s; at most {self.max_duration:g} s fit.",
                code="video_too_long",
            )
        if frames > self.max_frames:
            raise VideoError(
                f"The video holds more than {self.max_frames:,} frames, which is the most that fit.",
                code="video_too_long",
            )

    def check_output(self, count: int, width: int, height: int) -> None:
        """Raise `InputError` when the frames asked for would take more memory than allowed."""
        if count * width * height * 3 > self.max_output_bytes:
            raise InputError(
                f"{count} frames of {width}x{height} take {count * width * height * 3 / 2**20:.0f} MiB; "
                f"at most {self.max_output_bytes / 2**20:g} MiB fit. Ask for fewer or smaller ones.",
                param="num_frames",
            )


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of its video, before more than one frame is decoded."""

    duration: float
    """Seconds from the first frame to the end of the last one."""
    width: int
    """Pixels across, upright and with square pixels: as it is shown."""
    height: int
    """Pixels down."""
    fps: float
    """Mean frames a second."""
    codec: str
    """FFmpeg's name of the codec: h264, hevc, vp9, av1 …"""
    container: str
    """Which of `container.FORMATS` it came in."""
    num_frames: int | None
    """How many frames are shown; None where that is not known."""


class Reader(Protocol):
    """One video, opened by one decoder."""

    @property
    def info(self) -> VideoInfo:
        """What the file says of its video."""
        ...

    @property
    def timeline(self) -> Timeline:
        """When every frame is shown."""
        ...

    def frames(self, indices: Indices, max_side: int | None) -> tuple[NDArray[np.uint8], Indices]:
        """(T, H, W, 3) uint8 RGB, upright, and the indices they belong to.

        A damaged frame is left out; `VideoError` when none is left. No side is longer than `max_side`.
        """
        ...


OpenReader = Callable[[Media, str, Limits, HasLeft], Reader]
"""Opens media of a container (a key of `container.FORMATS`) within limits, for as long as somebody waits."""


def shown_size(width: int, height: int, aspect: float, max_side: int | None) -> tuple[int, int]:
    """(width, height) of a stored frame with square pixels, no side longer than `max_side`.

    `aspect` is a pixel's own width over its height; anything outlandish is taken as a mistake in the file.
    """
    if 0.25 <= aspect <= 4 and abs(aspect - 1) > 1e-3:
        width = max(1, round(width * aspect))
    if max_side is not None and max(width, height) > max_side:
        scale = max_side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    return width, height
