"""`open_video` and `probe`: a file or bytes in, a `Clip` or the facts out.

Everything that touches a stranger's bytes with C code happens inside `decode` and `facts`, which take and
give plain data: that is the seam where another process stands (`sandbox.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gpt4video.errors import InputError
from gpt4video.video.clip import Clip, Sampling
from gpt4video.video.container import HEAD_BYTES, container_of
from gpt4video.video.decord import DecordReader
from gpt4video.video.pyav import PyAVReader
from gpt4video.video.reader import HasLeft, Limits, Media, OpenReader, VideoInfo, stays
from gpt4video.video.timeline import choose

DecoderName = Literal["pyav", "decord"]

DECODERS: dict[str, OpenReader] = {
    "pyav": PyAVReader,
    "decord": DecordReader,
}
"""The decoders by name; pyav reads everything in `container.FORMATS`, decord.py says what decord does not."""

_DEFAULT_SAMPLING = Sampling()
_DEFAULT_LIMITS = Limits()


def open_video(
    source: Path | str | bytes,
    sampling: Sampling = _DEFAULT_SAMPLING,
    decoder: DecoderName = "pyav",
    limits: Limits = _DEFAULT_LIMITS,
    *,
    max_side: int | None = None,
    has_left: HasLeft = stays,
) -> Clip:
    """The frames of a video that `sampling` looks at, decoding no more than they need.

    source     path of a file, or the bytes of one
    max_side   frames are scaled down while decoding until no side is longer, in pixels
    has_left   is asked before every packet; once it says True, nobody wants the frames and `Left` is raised

    Frames are upright, with square pixels; what is transparent lets white through. Times are seconds from the
    video's first frame. A damaged file gives the frames that can be decoded, as long as they are most of
    those looked at; one that is cut short (`whole.py`) is refused.

    Raises `VideoError` (`invalid_video`, `unsupported_video_format`, `unsupported_video_codec`,
    `no_video_stream`, `video_too_large`, `video_too_long`), and `InputError` for a file that is not there or
    a stretch of time that the video does not have.
    """
    checked_options(decoder, max_side)
    media, container = checked(source, limits)
    return decode(media, container, sampling, decoder, limits, max_side, has_left)


def probe(source: Path | str | bytes, limits: Limits = _DEFAULT_LIMITS) -> VideoInfo:
    """Duration, size, rate, codec and container of a video; decodes one frame. Raises as `open_video`."""
    media, container = checked(source, limits)
    return facts(media, container, limits)


def decode(
    media: Media,
    container: str,
    sampling: Sampling,
    decoder: DecoderName,
    limits: Limits,
    max_side: int | None,
    has_left: HasLeft = stays,
) -> Clip:
    """`open_video` after its checks: `container` is a key of `container.FORMATS`."""
    reader = DECODERS[decoder](media, container, limits, has_left)
    frames, kept = reader.frames(choose(reader.timeline, sampling), max_side)
    return Clip(frames, reader.timeline.times[kept], reader.timeline.duration)


def facts(media: Media, container: str, limits: Limits) -> VideoInfo:
    """`probe` after its checks."""
    return PyAVReader(media, container, limits).info


def checked_options(decoder: str, max_side: int | None) -> None:
    """Raise `InputError` for a decoder that there is not, or frames without a side."""
    if max_side is not None and max_side < 1:
        raise InputError(f"max_side must be at least 1, got {max_side}.", param="max_side")
    if decoder not in DECODERS:
        raise InputError(f"decoder must be one of {', '.join(DECODERS)}, got {decoder!r}.", param="decoder")


def checked(source: Path | str | bytes, limits: Limits) -> tuple[Media, str]:
    """The media and its container, after the checks that cost nothing."""
    if isinstance(source, bytes):
        limits.check_size(len(source))
        return source, container_of(source[:HEAD_BYTES])
    path = Path(source)
    if not path.is_file():
        raise InputError(f"There is no file {str(source)!r}; a path of a video file, or its bytes, fit.")
    limits.check_size(path.stat().st_size)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    return path, container_of(head)
