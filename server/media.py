"""Posted bytes to clips, drawn clips to files: the one place where the server touches pictures.

What strangers post is decoded in confined processes, never in this one (`gpt4video/video/sandbox.py`). A few
threads wait for those, as many as may decode at a time; nothing is begun for who left before its turn, and
nothing goes on for who leaves after. (A semaphore would not do: a cancelled waiter releases it while the
work goes on.) Decoded clips are kept for a while by the hash of their bytes and the way they were sampled:
every turn of a conversation sends its videos again. Files that broke a decoder twice are not tried again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpt4video.errors import Busy, ConfigError, Gpt4VideoError, VideoError
from gpt4video.stages import stage
from gpt4video.video import Clip, Limits, Sampling, encode_jpeg, encode_mp4
from gpt4video.video.container import HEAD_BYTES
from gpt4video.video.picture import is_picture, is_still
from gpt4video.video.reader import Left
from gpt4video.video.sandbox import Broke, Budget, Sandbox, enough, missing
from gpt4video.video.timeline import Timeline, choose
from server.settings import Settings

STRIKES = 2
"""How often a file may break a decoder before it is turned away unseen."""
STRUCK = 1024
"""How many such files are remembered."""

T = TypeVar("T")

log = logging.getLogger("gpt4video.server")


@dataclass(frozen=True)
class Looked:
    """A posted video as it was looked at: its frames, and whether they were at hand."""

    clip: Clip
    cached: bool


class ClipReader:
    """Reads posted videos and pictures; remembers the last ones."""

    def __init__(self, settings: Settings) -> None:
        self._room = settings.clip_cache_bytes
        self._settings = settings
        self._sandbox = sandbox_of(settings)
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._at_work = 0
        self._kept: OrderedDict[tuple[str, Sampling], Clip] = OrderedDict()
        self._struck: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0

    def demand_confined(self) -> None:
        """Have a decoder ready, confined as far as this system can.

        Raises `ConfigError` where that is not enough (`Settings` may ask for it all the same, which is
        logged), and `InputError` for a decoder that is not installed.
        """
        try:
            held = self._sandbox.start()
        except ConfigError as error:
            message = f"{error.message} --unconfined-decoding (the setting unconfined_decoding) does."
            raise ConfigError(message, param="unconfined_decoding") from error
        if not enough(held):
            log.warning("Posted files are decoded unconfined: %s cannot be had here.", missing(held))

    async def read(self, data: bytes, sampling: Sampling) -> Looked:
        """The frames of a video that `sampling` asks for, or of a picture that moves; of others the only one.

        Raises `InputError` for what is no video or beyond the limits, `Busy` where too many wait already.
        """
        backend = "picture" if is_picture(data) else self._settings.decoder
        return await self._look(data, sampling, backend, partial(self._decode, data, sampling))

    def known(self, sha256: str, sampling: Sampling, moving: bool) -> Looked | None:
        """What `read` would give, where that is known without the bytes.

        It is not where something `moving` was meant and there is one frame, which may be of a picture.
        """
        clip = self._kept.get((sha256, sampling))
        if clip is None or (moving and len(clip.frames) == 1):
            return None
        self._kept.move_to_end((sha256, sampling))
        return Looked(clip, cached=True)

    async def frames(self, pictures: Sequence[bytes], fps: float, sampling: Sampling) -> Looked:
        """A video that came as pictures, `fps` a second; only those are decoded that `sampling` asks for.

        Raises as `read`.
        """
        work = partial(self._assemble, pictures, fps, sampling)
        return await self._look(b"".join([repr(fps).encode(), *pictures]), sampling, "picture", work)

    async def _look(
        self, data: bytes, sampling: Sampling, backend: str, decode: Callable[[threading.Event], Clip]
    ) -> Looked:
        digest = await asyncio.to_thread(_sha256, data)
        key = (digest, sampling)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return Looked(kept, cached=True)
        if self._struck.get(digest, 0) >= STRIKES:
            raise VideoError("This file broke the decoder before; it is not tried again.")
        left = threading.Event()
        try:
            with stage("decode", backend=backend):
                clip = await self._confined(decode, left)
        except Broke:
            self._strike(digest)
            raise
        finally:
            left.set()
        self._keep(key, clip)
        return Looked(clip, cached=False)

    async def look_inside(self, path: Path, *, moving: bool = False) -> dict[str, Any]:
        """What a file says of itself, as plain data: duration, width, height, fps, codec, frames.

        Raises as `read`, and for a picture of one frame where something `moving` was meant.
        """
        with stage("decode", backend="probe"):
            return await self._confined(self._look_inside, path, moving)

    def close(self) -> None:
        """End the threads, and what they wait for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._sandbox.close()

    async def _confined(self, work: Callable[..., T], *args: Any) -> T:
        """Have work done in one of the threads, unless too much waits for them."""
        if self._at_work >= self._settings.decode_threads + self._settings.max_queued_decodes:
            raise Busy("Too many videos wait to be read; try again in a moment.", retry_after=2.0)
        self._at_work += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args))
        except ConfigError as error:  # the operator's to mend, not the client's
            raise Gpt4VideoError(error.message, code="engine_unavailable") from error
        finally:
            self._at_work -= 1

    def _decode(self, data: bytes, sampling: Sampling, left: threading.Event) -> Clip:
        side = self._settings.max_side
        if is_picture(data):
            return self._sandbox.open_picture(data, sampling, max_side=side, has_left=left.is_set)
        return self._sandbox.open_video(
            data, sampling, self._settings.decoder, max_side=side, has_left=left.is_set
        )

    def _assemble(
        self, pictures: Sequence[bytes], fps: float, sampling: Sampling, left: threading.Event
    ) -> Clip:
        """Pictures as a clip; all are brought to the size of the first."""
        times = np.arange(len(pictures)) / fps
        timeline = Timeline(times, np.arange(len(pictures)), len(pictures) / fps)
        chosen = choose(timeline, sampling)
        frames: list[NDArray[np.uint8]] = []
        for picture in (pictures[i] for i in chosen):
            if left.is_set():
                raise Left
            if not is_picture(picture):
                raise VideoError("A frame of this video is no JPEG, PNG or WebP.")
            side = self._settings.max_side
            [frame] = self._sandbox.open_picture(picture, max_side=side, has_left=left.is_set).frames
            height, width = (frames or [frame])[0].shape[:2]
            frames.append(np.asarray(Image.fromarray(frame).resize((width, height))))
        return Clip(np.stack(frames), times[chosen], timeline.duration)

    def _look_inside(self, path: Path, moving: bool) -> dict[str, Any]:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if moving:
            demand_moving(head)
        if is_picture(head):
            clip = self._sandbox.open_picture(path)
            height, width = clip.frames.shape[1:3]
            frames = 1 if is_still(head) else None
            return {"duration": clip.duration, "width": width, "height": height, "num_frames": frames}
        return asdict(self._sandbox.probe(path))

    def _strike(self, digest: str) -> None:
        self._struck[digest] = self._struck.pop(digest, 0) + 1
        if len(self._struck) > STRUCK:
            self._struck.popitem(last=False)

    def _keep(self, key: tuple[str, Sampling], clip: Clip) -> None:
        if key in self._kept or clip.frames.nbytes > self._room:
            return
        self._kept[key] = clip
        self._bytes += clip.frames.nbytes
        while self._bytes > self._room:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= gone.frames.nbytes


def demand_moving(head: bytes) -> None:
    """Raise `VideoError` where a file that was posted as a video begins like a picture of one frame."""
    if is_still(head):
        raise VideoError(
            "This is a picture, and a video was asked for; image_url takes pictures.",
            code="unsupported_video_format",
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sandbox_of(settings: Settings) -> Sandbox:
    """Where posted files are decoded, within what the operator set."""
    return Sandbox(
        Limits(
            max_bytes=settings.max_video_bytes,
            max_pixels=settings.max_video_pixels,
            max_picture_pixels=settings.max_image_pixels,
            max_frame_side=settings.max_video_side,
            max_duration=settings.max_video_seconds,
            max_frames=settings.max_video_frames,
            max_streams=settings.max_video_streams,
            max_output_bytes=settings.max_clip_bytes,
            max_decoded_bytes=settings.max_decoded_bytes,
            max_threads=1,
        ),
        Budget(settings.decode_seconds, settings.decode_cpu_seconds, settings.decode_memory_bytes),
        unconfined=settings.unconfined_decoding,
        decoders=("pyav",) if settings.decoder == "pyav" else ("pyav", settings.decoder),
    )


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
