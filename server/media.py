"""Posted bytes to clips, drawn clips to files: the one place where the server touches pictures.

Decoding is blocking work, so it runs in a few threads of its own; nothing is begun for who left before its
turn, and nothing goes on for who leaves after. (A semaphore would not do: a cancelled waiter releases it
while the thread still decodes.) Decoded clips are kept for a while by the hash of their bytes and the way
they were sampled: every turn of a conversation sends its videos again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from gpt4video.errors import VideoError
from gpt4video.stages import stage
from gpt4video.video import Clip, Sampling, encode_jpeg, encode_mp4, open_video, probe
from server.settings import Settings


class ClipReader:
    """Reads posted videos and pictures; remembers the last ones."""

    def __init__(self, settings: Settings) -> None:
        self._room = settings.clip_cache_bytes
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._kept: OrderedDict[tuple[str, Sampling], Clip] = OrderedDict()
        self._bytes = 0

    async def read(self, data: bytes, sampling: Sampling) -> Clip:
        """The frames of a video that `sampling` asks for; a picture is a clip of one frame."""
        key = (await asyncio.to_thread(_sha256, data), sampling)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        left = threading.Event()
        try:
            with stage("decode", backend="pyav"):
                clip = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._decode, data, sampling, left
                )
        finally:
            left.set()
        self._keep(key, clip)
        return clip

    async def look_inside(self, path: Path) -> dict[str, Any]:
        """What a file says of itself, as plain data: duration, width, height, fps, codec, frames."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, look_inside, path, self._settings.max_image_pixels
        )

    def close(self) -> None:
        """End the threads; what they decode ends with those who wait for it."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _decode(self, data: bytes, sampling: Sampling, left: threading.Event) -> Clip:
        if is_picture(data):
            return picture(data, self._settings.max_image_pixels)
        return open_video(data, sampling, max_side=self._settings.max_side, has_left=left.is_set)

    def _keep(self, key: tuple[str, Sampling], clip: Clip) -> None:
        if key in self._kept or clip.frames.nbytes > self._room:
            return
        self._kept[key] = clip
        self._bytes += clip.frames.nbytes
        while self._bytes > self._room:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.frames.nbytes


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_picture(data: bytes) -> bool:
    """Whether bytes begin as a PNG, JPEG or WebP does. A GIF is a video."""
    return data.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff")) or (
        data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    )


def picture(data: bytes, max_pixels: int) -> Clip:
    """A picture as a clip of one frame that lasts one second."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            if image.width * image.height > max_pixels:
                raise VideoError(
                    f"The picture has {image.width}x{image.height} pixels; {max_pixels} in all fit.",
                    code="video_too_large",
                )
            frame = np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise VideoError("The picture cannot be read.") from error
    return Clip.of(frame[None], fps=1.0)


def look_inside(path: Path, max_pixels: int) -> dict[str, Any]:
    """What a file says of itself, as plain data: duration, width, height, fps, codec, frames."""
    with path.open("rb") as file:
        head = file.read(16)
    if is_picture(head):
        height, width = picture(path.read_bytes(), max_pixels).frames.shape[1:3]
        return {"duration": 1.0, "width": width, "height": height, "num_frames": 1}
    return asdict(probe(path))


def to_mp4(clip: Clip) -> bytes:
    """A drawn clip as an H.264 file that browsers play. Its frames are final: nothing is enlarged here."""
    return encode_mp4(clip, clip.fps)


MP4, WEBP = "video/mp4", "image/webp"
SHEET_COLUMNS, SHEET_FRAMES, SHEET_SIDE = 5, 25, 160
"""A spritesheet shows at most so many frames, so many in a row, each at most so many pixels wide and high."""


def variants(clip: Clip) -> dict[str, tuple[bytes, str]]:
    """What is kept of a drawn clip, by name: the file, and pictures of it; each with its media type."""
    frames = [Image.fromarray(frame) for frame in clip.frames]
    chosen = [
        frames[i] for i in np.linspace(0, len(frames) - 1, min(len(frames), SHEET_FRAMES)).round().astype(int)
    ]
    return {
        "video": (to_mp4(clip), MP4),
        "thumbnail": (_webp(frames[len(frames) // 2]), WEBP),
        "spritesheet": (_webp(_sheet(chosen)), WEBP),
    }


def _sheet(frames: list[Image.Image]) -> Image.Image:
    """Frames in rows, the first one in the upper left corner."""
    for frame in frames:
        frame.thumbnail((SHEET_SIDE, SHEET_SIDE), Image.Resampling.BICUBIC)
    (width, height), rows = frames[0].size, -(-len(frames) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (width * min(SHEET_COLUMNS, len(frames)), height * rows))
    for i, frame in enumerate(frames):
        sheet.paste(frame, (width * (i % SHEET_COLUMNS), height * (i // SHEET_COLUMNS)))
    return sheet


def _webp(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=85)
    return file.getvalue()


def data_url(frame: NDArray[np.uint8]) -> str:
    """A small frame as a JPEG that fits in a line of a stream."""
    jpeg = encode_jpeg(frame, quality=80, max_side=320)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
