"""Posted pictures: a clip of one frame. An allow-list on the first bytes, as for videos."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gpt4video.errors import VideoError
from gpt4video.video.clip import Clip
from gpt4video.video.reader import Limits, Media, shown_size

FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow's names of what is read."""


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so is a PNG, JPEG or WebP. A GIF is a video."""
    return head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff")) or (
        head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    )


def read_picture(media: Media, limits: Limits, max_side: int | None = None) -> Clip:
    """A picture as a clip of one frame that lasts one second. It stands upright; what is transparent lets
    white through.

    Raises `VideoError` (`invalid_video`, `video_too_large`).
    """
    source = io.BytesIO(media) if isinstance(media, bytes) else media
    try:
        with Image.open(source, formats=FORMATS) as image:  # type: ignore[arg-type]
            limits.check_picture(image.width, image.height)
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                white = Image.new("RGBA", upright.size, "white")
                white.alpha_composite(upright.convert("RGBA"))
                upright = white
            size = shown_size(*upright.size, 1.0, max_side)
            frame = np.asarray(upright.convert("RGB").resize(size), dtype=np.uint8)
    except Image.DecompressionBombError as error:
        raise VideoError("The picture has far more pixels than fit.", code="video_too_large") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise VideoError("The picture cannot be read: it is damaged or cut short.") from error
    return Clip.of(frame[None], fps=1.0)
