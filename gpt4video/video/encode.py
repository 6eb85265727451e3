"""Frames to files: an mp4 that every browser plays from its first bytes, and a JPEG for previews.

H.264 in 4:2:0 stores colour at half the resolution, which eats thin coloured edges. A small video enlarged by
a whole factor, each pixel a square, loses nothing by it: every 2x2 block of colour is one pixel.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpt4video.errors import InputError
from gpt4video.video.clip import Clip

_CRF = 12
"""x264's quality, 0 lossless to 51: no loss that an eye, or a check of flat colours, can see."""
_REPEATABLE = "cpu-independent=1"
"""x264 weighs each block by how much of later frames is made from it (`mbtree`), with this in plain C. Its
AVX-512 code for that takes eight blocks at a time, past the end of a row too: what lay in memory before then
moves the quality of the whole file. What other processors have rounds each in its own way."""
_BT709 = 1
"""The number of BT.709 in H.273, for matrix, transfer curve and primaries alike."""
_LIMITED_RANGE = 1


def encode_mp4(
    clip_or_frames: Clip | NDArray[np.uint8] | Sequence[NDArray[np.uint8]], fps: float, *, enlarge: int = 1
) -> bytes:
    """An mp4 (H.264, yuv420p, BT.709, index first) of (T, H, W, 3) uint8 RGB frames.

    fps       frames a second, evenly spaced; a clip's own times are not used
    enlarge   whole factor by which width and height grow, each pixel becoming a square

    4:2:0 wants even sizes: an odd one gets its last row or column twice. Equal input gives equal bytes.
    """
    frames = clip_or_frames.frames if isinstance(clip_or_frames, Clip) else np.asarray(clip_or_frames)
    if frames.ndim != 4 or len(frames) < 1 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise InputError(f"frames must be (T >= 1, H, W, 3) uint8, got {frames.shape} {frames.dtype}.")
    if not 0 < fps <= 1000:
        raise InputError(f"fps must be above 0 and at most 1000, got {fps}.", param="fps")
    if enlarge < 1:
        raise InputError(f"enlarge must be a whole number of at least 1, got {enlarge}.", param="enlarge")
    height, width = (side * enlarge + side * enlarge % 2 for side in frames.shape[1:3])
    # The index can only move to the front in a file that can be read again, so not in a buffer.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        with av.open(str(path), "w", format="mp4", options=options) as file:
            stream = file.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            context = stream.codec_context
            # One thread: x264's output depends on their number. No B-frames: time starts at 0, without edits.
            context.thread_count = 1
            context.options = {"crf": str(_CRF), "bf": "0", "preset": "medium", "x264-params": _REPEATABLE}
            context.colorspace = context.color_trc = context.color_primaries = _BT709
            context.color_range = _LIMITED_RANGE
            for frame in frames:
                file.mux(stream.encode(_yuv(frame, enlarge, width, height)))
            file.mux(stream.encode(None))
        return path.read_bytes()


def _yuv(frame: NDArray[np.uint8], enlarge: int, width: int, height: int) -> av.VideoFrame:
    """One (H, W, 3) RGB frame as a larger, even one in BT.709 yuv420p."""
    large = frame.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    even = np.pad(large, ((0, height - large.shape[0]), (0, width - large.shape[1]), (0, 0)), mode="edge")
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24").reformat(
        format="yuv420p",
        interpolation="AREA",
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="MPEG",
        threads=1,  # as in `pyav.py`
    )


def encode_jpeg(frame: NDArray[np.uint8], *, quality: int = 85, max_side: int | None = None) -> bytes:
    """A JPEG of one (H, W, 3) uint8 RGB frame, scaled down until no side is longer than `max_side`."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise InputError(f"frame must be (H, W, 3) uint8, got {frame.shape} {frame.dtype}.")
    image = Image.fromarray(frame)
    if max_side is not None:
        image.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
