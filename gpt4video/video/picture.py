"""Posted pictures: a clip of one frame, or of several where the picture moves. An allow-list on the first
bytes, as for videos.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gpt4video.errors import VideoError
from gpt4video.video.clip import Clip, Sampling
from gpt4video.video.reader import Limits, Media, shown_size
from gpt4video.video.timeline import Timeline, choose

FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow's names of what is read."""
_MOVING = ("PNG", "WEBP")
"""Those of which there may be more than one frame. (What a JPEG has besides its picture are others of it.)"""
ONE = Sampling(num_frames=1)
_STILL = Timeline(np.zeros(1), np.zeros(1, np.int64), 1.0)
_STAYS = 100
"""Milliseconds that a frame of a moving picture stays which does not say how long: what browsers take."""


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so is a PNG, JPEG or WebP. A GIF is a video."""
    return head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def is_still(head: bytes) -> bool:
    """Whether a file that begins so is a picture of one frame: no animated PNG or WebP, and no video."""
    if head[12:16] == b"VP8X":
        moves = head[20:21] > b"" and head[20] & 2 > 0
    else:
        moves = b"acTL" in head.partition(b"IDAT")[0]
    return is_picture(head) and not moves


def read_picture(media: Media, limits: Limits, max_side: int | None = None, sampling: Sampling = ONE) -> Clip:
    """A picture as a clip of one frame that lasts one second; of one that moves, the frames that `sampling`
    looks at. It stands upright; what is transparent lets white through.

    Raises `VideoError` (`invalid_video`, `video_too_large`, `video_too_long`).
    """
    source = io.BytesIO(media) if isinstance(media, bytes) else media
    try:
        with Image.open(source, formats=FORMATS) as image:  # type: ignore[arg-type]
            limits.check_picture(image.width, image.height)
            count = image.n_frames if image.format in _MOVING else 1  # type: ignore[attr-defined]
            timeline = _timeline(image, count, limits) if count > 1 else _STILL
            chosen = choose(timeline, sampling if count > 1 else ONE)
            limits.check_output(len(chosen), *shown_size(*image.size, 1.0, max_side))
            frames = [_frame(image, index, max_side) for index in chosen.tolist()]
    except Image.DecompressionBombError as error:
        raise VideoError("The picture has far more pixels than fit.", code="video_too_large") from error
    except (UnidentifiedImageError, OSError, EOFError, ValueError, SyntaxError) as error:
        raise VideoError("The picture cannot be read: it is damaged or cut short.") from error
    return Clip(np.stack(frames), timeline.times[chosen], timeline.duration)


def _timeline(image: Image.Image, count: int, limits: Limits) -> Timeline:
    """When each frame is shown. How long one stays is only known once it is decoded."""
    limits.check_length(0.0, count)
    stays: list[float] = []
    for index in range(count):
        image.seek(index)
        image.load()
        stays.append((image.info.get("duration") or _STAYS) / 1000)
        limits.check_decoded(4 * image.width * image.height * len(stays))
    ends = np.cumsum(stays)
    limits.check_length(float(ends[-1]))
    return Timeline(ends - np.array(stays), np.arange(count), float(ends[-1]))


def _frame(image: Image.Image, index: int, max_side: int | None) -> NDArray[np.uint8]:
    """(H, W, 3) of one frame."""
    if index != image.tell():
        image.seek(index)
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        white.alpha_composite(upright.convert("RGBA"))
        upright = white
    size = shown_size(*upright.size, 1.0, max_side)
    return np.asarray(upright.convert("RGB").resize(size), dtype=np.uint8)
