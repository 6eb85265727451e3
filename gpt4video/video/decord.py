"""Reading videos with decord: for trusted data, and for those who ask for it.

Its pixels are good, its time stamps are not (garbage in MPEG-PS, and in AVI with B-frames), so the timeline
comes from the container as with PyAV, and decord is asked for frames by number. What decord 0.6 cannot read
(AV1, GIF files, MPEG-TS, H.265 in AVI, edit lists that hide frames) is an error that names what can. It drops
transparency, and pixels that are not square stay so.
"""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpt4video.errors import InputError, VideoError
from gpt4video.video.pyav import PyAVReader
from gpt4video.video.reader import HasLeft, Left, Limits, Media, VideoInfo, shown_size, stays
from gpt4video.video.timeline import Indices

_UNSEEKABLE = {"avi", "mpeg"}
"""Containers where decord seeks by time stamps that it gets wrong."""


def demand_decord() -> None:
    """Raise `InputError` where decord is not installed. Loads nothing."""
    if find_spec("decord") is None:
        raise InputError(
            "The decord decoder is not installed (it has no package for this machine, or "
            "`pip install decord` was not run); the pyav decoder needs nothing more.",
            param="decoder",
        )


class DecordReader:
    """One video, read by decord. Raises `InputError` where decord is not installed."""

    def __init__(self, media: Media, container: str, limits: Limits, has_left: HasLeft = stays) -> None:
        demand_decord()
        import decord

        self._decord = decord
        decord.logging.set_level(decord.logging.QUIET)
        self._media, self._container, self._limits, self._has_left = media, container, limits, has_left
        self._facts = PyAVReader(media, container, limits, has_left)
        self.timeline = self._facts.timeline

    @property
    def info(self) -> VideoInfo:
        """What is known of the video."""
        return self._facts.info

    def frames(self, indices: Indices, max_side: int | None) -> tuple[NDArray[np.uint8], Indices]:
        """(T, H, W, 3) uint8 RGB, upright, and the indices they belong to; see `Reader.frames`."""
        source: Any = io.BytesIO(self._media) if isinstance(self._media, bytes) else self._media
        if isinstance(source, Path):
            source = str(source)
        else:
            source.seek(0)
        images: list[NDArray[np.uint8]] = []
        try:
            # The reader is not kept: an idle one goes on filling its queue of decoded frames.
            reader = self._decord.VideoReader(source, num_threads=1)
            if len(reader) != len(self.timeline.times):
                raise VideoError(
                    f"decord counts {len(reader)} frames where the file shows {len(self.timeline.times)}; "
                    "the pyav decoder can read it."
                )
            # Seeking gives it other frames, too, where some are stored after a key frame and shown before it.
            seekable = self._container not in _UNSEEKABLE and self._facts.packets.closed
            at = 0
            for index in indices.tolist():
                if self._has_left():
                    raise Left
                if seekable:
                    reader.seek_accurate(index)
                else:
                    for _ in range(at, index):
                        reader.next()
                at = index + 1
                image = _whole(reader.next().asnumpy())
                height, width, _ = image.shape
                self._limits.check_output(len(indices), *shown_size(width, height, 1.0, max_side))
                images.append(_sized(image, max_side))
        except (self._decord.DECORDError, RuntimeError) as error:
            raise VideoError(
                f"decord cannot read this {self._facts.codec} video; the pyav decoder may.",
                code="unsupported_video_codec",
            ) from error
        return np.stack(images), indices


def _whole(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) of decord's array, which for narrow frames takes the padding of rows for channels."""
    height, width, _ = array.shape
    return np.ascontiguousarray(array.reshape(height, -1)[:, : width * 3].reshape(height, width, 3))


def _sized(image: NDArray[np.uint8], max_side: int | None) -> NDArray[np.uint8]:
    height, width, _ = image.shape
    size: Any = shown_size(width, height, 1.0, max_side)
    if size == (width, height):
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
