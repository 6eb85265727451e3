"""Video files for tests: frames that carry their own number, in every codec and container in wide use.

    transcode(master, folder / "clip.webm", *ENCODERS["vp9"])

A counting frame tells its number by the brightness of three quarters, and which way is up by a red one:

    red      ones
    twelves  gross        (base 12; 24 + 18 d is the grey of digit d, so coding noise does not change it)
"""

import shutil
import struct
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ENCODERS: dict[str, tuple[str, ...]] = {
    "h264": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "8", "-bf", "2"),
    "h265": ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:keyint=8:pools=1"),
    "vp9": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-g", "8", "-cpu-used", "8", "-b:v", "1M"),
    "av1": ("-c:v", "libaom-av1", "-pix_fmt", "yuv420p", "-g", "8", "-cpu-used", "8", "-crf", "30"),
    "mpeg4": ("-c:v", "mpeg4", "-pix_fmt", "yuv420p", "-g", "8", "-bf", "2", "-q:v", "3"),
    "gif": ("-filter_complex", "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none", "-c:v", "gif"),
}
"""Codec -> the arguments that make ffmpeg write it."""

CODECS_IN_CONTAINERS: dict[str, tuple[str, ...]] = {
    "mp4": ("h264", "h265", "vp9", "av1", "mpeg4"),
    "mov": ("h264", "h265", "mpeg4", "gif"),
    "mkv": ("h264", "h265", "vp9", "av1", "mpeg4", "gif"),
    "webm": ("vp9", "av1"),
    "avi": ("h264", "h265", "vp9", "av1", "mpeg4"),
    "gif": ("gif",),
}
"""Container (and file suffix) -> the codecs it can hold. GIF in mp4 and avi, VP9 and AV1 in mov, H.264, H.265
and MPEG-4 in webm are refused by ffmpeg, or written without a tag that anything could read."""

TAGS = {("h265", "avi"): ("-tag:v", "HEVC")}
"""What a codec needs besides in one container."""

ALL_FILES = [(codec, container) for container, codecs in CODECS_IN_CONTAINERS.items() for codec in codecs]


def ffmpeg_available() -> bool:
    """Whether the ffmpeg command can be used."""
    return shutil.which("ffmpeg") is not None


def ffmpeg(*args: str | Path) -> None:
    """Run ffmpeg; raises with what it said when it fails."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def transcode(source: Path, target: Path, *args: str) -> Path:
    """`source` as `target`, with ffmpeg's codec arguments."""
    ffmpeg("-i", source, *args, target)
    return target


def transcode_to(source: Path, folder: Path, codec: str, container: str) -> Path:
    """`source` in one of `CODECS_IN_CONTAINERS`."""
    args = (*ENCODERS[codec], *TAGS.get((codec, container), ()))
    return transcode(source, folder / f"{codec}.{container}", *args)


def write(
    path: Path,
    frames: np.ndarray,
    ticks: Sequence[int] | None = None,
    *,
    codec: str = "libx264",
    tick: Fraction = Fraction(1, 8),
    pix_fmt: str = "yuv444p",
    aspect: Fraction | None = None,
    format: str | None = None,
    **options: str,
) -> Path:
    """Write (T, H, W, 3) frames with PyAV, each shown at its number of `ticks`; needs no ffmpeg command."""
    with av.open(str(path), "w", format=format) as file:
        stream = file.add_stream(codec, rate=1 / tick, options={"crf": "8", "preset": "ultrafast", **options})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pix_fmt
        stream.codec_context.time_base = tick
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for frame, at in zip(frames, ticks if ticks is not None else range(len(frames)), strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = at, tick
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def turned(mp4: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """The same mp4, to be shown turned: x' = a x + c y, y' = b x + d y, in its track header."""
    at = mp4.index(b"tkhd") + 44
    matrix = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return mp4[:at] + struct.pack(">9i", *matrix) + mp4[at + 36 :]


def counting(count: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(count, H, W, 3) frames that carry their numbers, from 0 on."""
    frames = np.empty((count, height, width, 3), np.uint8)
    y, x = height // 2, width // 2
    for number, frame in enumerate(frames):
        frame[:y, :x] = 220, 30, 30
        frame[:y, x:] = 24 + 18 * (number % 12)
        frame[y:, :x] = 24 + 18 * (number // 12 % 12)
        frame[y:, x:] = 24 + 18 * (number // 144)
    return frames


def numbers(frames: np.ndarray) -> list[int]:
    """The numbers that counting frames carry. Fails where they stand askew or their colours are gone."""
    _, height, width, _ = frames.shape
    y, x = height // 2, width // 2
    inside = [slice(y // 4, y - y // 4), slice(y + y // 4, height - y // 4)]
    across = [slice(x // 4, x - x // 4), slice(x + x // 4, width - x // 4)]
    mean = np.array([[frames[:, down, right].mean((1, 2)) for right in across] for down in inside])
    red = mean[0, 0]
    assert np.abs(red - (220, 30, 30)).max() < 16, f"the upper left quarter should be red, not {red[0]}"
    digits = (mean.mean(-1) - 24) / 18
    assert np.abs(digits - digits.round())[[0, 1, 1], [1, 0, 1]].max() < 0.4, "the greys are off"
    digits = digits.round().astype(int)
    return (digits[0, 1] + 12 * digits[1, 0] + 144 * digits[1, 1]).tolist()
