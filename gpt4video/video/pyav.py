"""Reading videos with PyAV (FFmpeg): the default decoder, and the one for what strangers post.

Two passes over the file. The first decodes nothing: it notes when each frame is shown and where decoding
can start (`packets.py`). The second hands the decoder only what the chosen frames need and skips the rest.
No seek is asked for: seeking is inexact in MPEG-TS, impossible in GIF, and skipping a packet is cheap.

Needs PyAV 17: before it, options given for a file whose streams show up late (MPEG-PS) break memory, and
colours were converted without regard to the matrix that the file names.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpt4video.errors import VideoError
from gpt4video.video.container import FORMATS
from gpt4video.video.packets import Packets, Run
from gpt4video.video.reader import HasLeft, Left, Limits, Media, VideoInfo, shown_size, stays
from gpt4video.video.timeline import Indices
from gpt4video.video.whole import demand_samples, demand_whole

CODECS = {
    *(
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "av1",
        "mpeg4",
        "msmpeg4v2",
        "msmpeg4v3",
        "h263",
        "flv1",
        "theora",
        "gif",
    ),
    *("mpeg1video", "mpeg2video", "mjpeg", "prores", "dnxhd", "ffv1", "qtrle", "png", "rawvideo"),
}
"""FFmpeg's names of the codecs that are read: those in wide use, since decoders are C code."""

_IDR = {
    "h264": re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]"),
    "hevc": re.compile(rb"\x00\x00\x01[\x26\x28]"),
}
"""The beginning of a picture that closes all before it (H.264 NAL unit type 5; H.265 types 19 and 20)."""

_QUIET = {"hevc"}
"""Codecs whose decoder says nothing of a frame that it cannot make sense of: it leaves it out."""

_BROKEN = (av.error.FFmpegError, OSError, ValueError)
"""What PyAV raises for damaged files; some of FFmpeg's codes come as plain OSError."""


class PyAVReader:
    """One video, read by PyAV. Raises `VideoError` for what is not one, or is beyond the limits."""

    def __init__(self, media: Media, container: str, limits: Limits, has_left: HasLeft = stays) -> None:
        self._media, self._container, self._limits, self._has_left = media, container, limits, has_left
        size = demand_whole(media, container)
        with self._open() as file:
            stream = self._stream(file)
            demand_samples(stream.index_entries, container, size)
            self.codec = _codec_name(stream)
            self.packets = self._walk(file, stream)
        self.timeline = self.packets.timeline()
        self.decoded = 0
        """Packets handed to the decoder so far: what the work is counted in."""
        self._bytes = 0
        self._spoilt: set[int | None] = set()
        """Time stamps of frames that the decoder has complained of."""

    @property
    def info(self) -> VideoInfo:
        """What is known of the video. Decodes one frame, which knows its orientation."""
        frames, _ = self.frames(np.zeros(1, dtype=np.int64), None)
        _, height, width, _ = frames.shape
        count, duration = len(self.timeline.times), self.timeline.duration
        fps = count / duration if duration > 0 else 1.0
        return VideoInfo(duration, width, height, fps, self.codec, self._container, count)

    def frames(self, indices: Indices, max_side: int | None) -> tuple[NDArray[np.uint8], Indices]:
        """(T, H, W, 3) uint8 RGB, upright, and the indices they belong to; see `Reader.frames`."""
        wanted = {self.packets.shown[i] for i in indices.tolist()}
        found: dict[int, NDArray[np.uint8]] = {}
        with self._open() as file:
            stream = self._stream(file)
            aspect = float(stream.sample_aspect_ratio or 1)
            for pts, frame in self._decode(file, stream, indices.tolist()):
                try:
                    image = _upright(frame, aspect, max_side) if frame else None
                except _BROKEN:
                    image = None  # a damaged header may claim colours that nothing can convert
                if image is None:
                    self._spoilt.add(pts)
                    continue
                if not found:
                    height, width, _ = image.shape
                    self._limits.check_output(len(indices), width, height)
                elif image.shape[:2] != (height, width):  # the size changed on the way: the first one stands
                    image = np.asarray(Image.fromarray(image).resize((width, height)))
                found[pts] = image
        spoilt = wanted & self._spoilt if self.codec not in _QUIET else wanted - set(found)
        if 2 * len(spoilt) > len(wanted):
            raise VideoError(
                f"The file is damaged: {len(spoilt)} of the {len(wanted)} frames looked at cannot be decoded."
            )
        if not found:
            raise VideoError("No frame of the video could be decoded: the file is damaged or cut short.")
        kept = sorted(found)
        return np.stack([found[pts] for pts in kept]), np.searchsorted(self.packets.shown, kept)

    def _open(self) -> Any:
        """The demuxer, told which format it reads, and kept from opening anything else."""
        names = FORMATS[self._container]
        try:
            return av.open(
                _source(self._media),
                format=names.partition(",")[0],
                options={"format_whitelist": names, "protocol_whitelist": "file,pipe"},
                metadata_errors="ignore",
            )
        except _BROKEN as error:
            raise VideoError(
                f"The file begins like {self._container}, but its header cannot be read: "
                "it is damaged or cut short."
            ) from error

    def _stream(self, file: Any) -> Any:
        """The video stream, set up to decode within the limits."""
        self._limits.check_streams(len(file.streams))
        stream = file.streams.best("video")
        if stream is None or stream.disposition & av.stream.Disposition.attached_pic:  # cover art of a song
            raise VideoError("The file has no video stream.", code="no_video_stream")
        name = _codec_name(stream)
        if name not in CODECS:
            raise VideoError(
                f"The video's codec is {name}, which is not read; H.264, H.265, VP9 and AV1 are.",
                code="unsupported_video_codec",
            )
        context = stream.codec_context
        self._limits.check_frame(context.width, context.height)
        context.options = {"max_pixels": str(self._limits.max_pixels)}
        context.thread_type = "AUTO"
        context.thread_count = min(self._limits.max_threads, os.cpu_count() or 1)
        return stream

    def _walk(self, file: Any, stream: Any) -> Packets:
        """The first pass: when every packet is shown."""
        # AVI stores no presentation times, and what FFmpeg makes up for codecs that reorder is wrong.
        ordered = self._container == "avi" and self.codec in _IDR
        rate = stream.average_rate or stream.guessed_rate or 0
        packets = Packets(float(stream.time_base), float(rate), ordered)
        # GIF frames in other containers bring a length of their own, which is not theirs there.
        lengths = self.codec != "gif" or self._container == "gif"
        for packet in self._demux(file, stream):
            packets.add(
                packet.dts if ordered else packet.pts,
                key=packet.is_keyframe and self._starts_anew(packet, ordered),
                hidden=packet.is_discard,
                length=packet.duration if lengths and packet.duration else 0,
            )
            self._limits.check_length(packets.span, len(packets.pts))
        packets.settle()
        return packets

    def _starts_anew(self, packet: Any, ordered: bool) -> bool:
        """Whether decoding can start at this key frame."""
        if self.codec == "gif":
            return False  # each frame is painted over the one before, whatever the container says
        # Where frames are counted, the count must start at one that nothing after it is shown before.
        return not ordered or _IDR[self.codec].search(bytes(packet)) is not None

    def _decode(self, file: Any, stream: Any, indices: list[int]) -> Iterator[tuple[int, Any]]:
        """The second pass: (time stamp, frame) of each frame wanted; None for those found damaged."""
        runs = self.packets.plan(indices)
        run = Run(0, [], 0)
        for place, packet in enumerate(self._demux(file, stream)):
            if runs and place == runs[0].start:
                if run.wanted:
                    yield from run.take(self._decoded(stream, None), last=True)
                stream.codec_context.flush_buffers()
                run = runs.pop(0)
            if run.wanted:
                self.decoded += 1
                yield from run.take(self._decoded(stream, packet, self.packets.pts[place]))
            elif not runs:
                return
        yield from run.take(self._decoded(stream, None), last=True)

    def _decoded(self, stream: Any, packet: Any, pts: int | None = None) -> list[Any]:
        """The frames that come out when `packet` goes in; None empties the decoder. Each is measured."""
        try:
            frames = list(stream.codec_context.decode(packet))
        except _BROKEN:
            frames = []  # one damaged packet does not spoil the others
            self._spoilt.add(pts)
        # Sizes may change on the way. One above the limit brings no frame, but the decoder has noted it.
        for sized in (stream.codec_context, *frames):
            self._limits.check_frame(sized.width, sized.height)
        for frame in frames:
            self._bytes += sum(plane.buffer_size for plane in frame.planes)
        self._limits.check_decoded(self._bytes)
        return frames

    def _demux(self, file: Any, stream: Any) -> Iterator[Any]:
        """The stream's packets, until the file ends or breaks off, or nobody waits for them any more."""
        try:
            for packet in file.demux(stream):
                if self._has_left():
                    raise Left
                if packet.size:
                    yield packet
        except _BROKEN:
            return  # what came until here counts


def _source(media: Media) -> Any:
    """What PyAV opens; a file that is open is read from its start."""
    if isinstance(media, bytes):
        return io.BytesIO(media)
    if isinstance(media, Path):
        return str(media.resolve())
    media.seek(0)
    return media


def _codec_name(stream: Any) -> str:
    """FFmpeg's name of the codec, whichever library decodes it."""
    context = stream.codec_context
    return "unknown" if context is None else str(context.codec.canonical_name)


def _upright(frame: Any, aspect: float, max_side: int | None) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a frame as it is shown: square pixels, turned, no side above `max_side`."""
    image = _rgb(frame, shown_size(frame.width, frame.height, aspect, max_side))
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            # x' = a x + c y and y' = b x + d y: a turn by quarters, perhaps mirrored.
            a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32, count=5).tolist()
            if a == d == 0:
                image, a, d = image.transpose(1, 0, 2), c, b
            image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)


def _rgb(frame: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a frame as it is stored, at `size`; what is transparent lets white through."""
    alpha = frame.format.name == "pal8" or any(part.is_alpha for part in frame.format.components)
    image: NDArray[np.uint8] = frame.reformat(
        *size,
        format="rgba" if alpha else "rgb24",
        interpolation="BILINEAR" if size == (frame.width, frame.height) else "BICUBIC",
        threads=1,  # more are begun for every frame, which costs more than they bring
    ).to_ndarray()
    if not alpha:
        return image
    wide = image.astype(np.uint16)
    opaque = wide[..., 3:]
    return ((wide[..., :3] * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)
