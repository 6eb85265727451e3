"""Whether all of a file is there, by what it says of its own size. Nothing is unpacked or decoded.

    mp4   [ftyp][moov][mdat ..................... ¦ .....]    a box reaches over the end of the file,
          [ftyp][moov: samples at … ¦ … ][mdat: open]         or a sample that the index names
    mkv   [EBML][Segment [Cluster][Cluster ...... ¦ .....]]   an element does
    avi   [RIFF  [hdrl][movi .................... ¦ .....]]   a chunk does
    gif   [head][frame][frame ................... ¦           it ends in the middle of a block

What is written while it is recorded or streamed may leave its size open (0 in mp4 and avi, all ones in avi
and mkv): nothing is promised there, so nothing is missing. MPEG, MPEG-TS, FLV and Ogg never tell a size.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpt4video.errors import VideoError
from gpt4video.video.reader import File, Media

_MOST_PIECES = 2**18
"""So many boxes, elements or blocks are looked at; of a file with more, the rest is not."""

_BOXES = {
    *(b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"emsg", b"prft"),
    *(b"meta", b"udta", b"free", b"skip", b"wide", b"uuid", b"pdin"),
}
"""Boxes at the top of an mp4 (ISO/IEC 14496-12, QuickTime). What else follows them is no part of it."""

_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_ELEMENTS = {
    *(_SEGMENT, _CLUSTER),
    *(0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B),  # EBML, SeekHead, Info, Tracks
    *(0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367),  # Cues, Attachments, Chapters, Tags
}
"""Elements at the top of a Matroska file, and of a segment of it (RFC 9559)."""

_RIFF_SLACK = 8
"""Bytes that a RIFF may promise and not hold: some writers count those of its own header."""


def demand_whole(media: Media, container: str) -> int:
    """The file's size in bytes. Raises `VideoError` (`invalid_video`) where it speaks of more than that.

    `container` is a key of `container.FORMATS`.
    """
    with _opened(media) as file:
        size = file.seek(0, io.SEEK_END)
        if look := _LOOKS.get(container):
            look(file, size)
    return size


def demand_samples(index: Iterable[Any], container: str, size: int) -> None:
    """Raise `VideoError` where the index of an mp4 names samples beyond the end of the file.

    `index` is PyAV's `Stream.index_entries`. Those of AVI often point astray in files that play well, and
    those of Matroska are of a few frames; neither is judged by.
    """
    if container == "mp4":
        _demand(size, max((entry.pos + entry.size for entry in index), default=0))


def _demand(size: int, end: int) -> None:
    if end > size:
        raise VideoError(f"The file is cut short: it speaks of {end:,} bytes, and {size:,} are there.")


def _mp4(file: File, size: int) -> None:
    at = 0
    for _ in range(_MOST_PIECES):
        head = _read(file, at, 16)
        if head[4:8] not in _BOXES:
            return
        length, start = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(head[8:], "big"), 16
        if length < start:  # 0: it goes on to the end, wherever that is
            return
        _demand(size, at + length)
        if head[4:8] == b"sidx":
            _demand(size, at + length + _segments(_read(file, at + start, min(length - start, 2**20))))
        at += length


def _segments(sidx: bytes) -> int:
    """Bytes of the segments that a segment index lists, counted from its own end."""
    first, entries = (16, 24) if sidx[:1] == b"\0" else (20, 32)
    total = int.from_bytes(sidx[first : entries - 4], "big")
    count = int.from_bytes(sidx[entries - 2 : entries], "big")
    for at in range(entries, entries + 12 * count, 12):
        total += int.from_bytes(sidx[at : at + 4], "big") & 0x7FFFFFFF  # the first bit says what is there
    return total


def _mkv(file: File, size: int) -> None:
    at = 0
    for _ in range(_MOST_PIECES):
        if (element := _element(_read(file, at, 12))) is None:
            return
        name, start, length = element
        at += start
        if length is not None:
            if name in _ELEMENTS:
                _demand(size, at + length)
            at += length
        elif name not in (_SEGMENT, _CLUSTER):  # of those that are left open, what is inside comes next
            return


def _element(head: bytes) -> tuple[int, int, int | None] | None:
    """(name, bytes of its head, bytes of its content or None where that is open) of what begins so."""
    name_bytes = 9 - head[0].bit_length() if head else 9
    if name_bytes > 4 or len(head) <= name_bytes:
        return None
    start = name_bytes + 9 - head[name_bytes].bit_length()
    if start - name_bytes > 8 or len(head) < start:
        return None
    most = (1 << 7 * (start - name_bytes)) - 1
    length = int.from_bytes(head[name_bytes:start], "big") & most
    return int.from_bytes(head[:name_bytes], "big"), start, None if length == most else length


def _avi(file: File, size: int) -> None:
    at = 0
    for _ in range(_MOST_PIECES):
        head = _read(file, at, 8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            return
        _demand(size + _RIFF_SLACK, at + 8 + length)
        at += 8 + length + length % 2


def _gif(file: File, size: int) -> None:
    _demand(size, 13)
    at = 13 + _palette(_read(file, 10, 1))
    in_block = False
    for _ in range(_MOST_PIECES):
        if in_block:
            _demand(size, at + 1)
            [length] = _read(file, at, 1)
            at, in_block = at + 1 + length, length > 0
        elif (head := _read(file, at, 10))[:1] == b"\x2c":  # an image: where it lies, its colours, code size
            at, in_block = at + 10 + _palette(head[9:]) + 1, True
        elif head[:1] == b"\x21":  # an extension, and its kind
            at, in_block = at + 2, True
        else:  # the end, or what is no part of it
            return


def _palette(flags: bytes) -> int:
    """Bytes of the table of colours that these flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


_LOOKS: dict[str, Callable[[File, int], None]] = {"mp4": _mp4, "mkv": _mkv, "avi": _avi, "gif": _gif}
"""Container -> how its pieces are walked, by their heads alone."""


def _read(file: File, at: int, count: int) -> bytes:
    """The bytes there; fewer where the file ends."""
    file.seek(at)
    return file.read(count)


@contextmanager
def _opened(media: Media) -> Iterator[File]:
    """The media as a file that is open."""
    if isinstance(media, bytes):
        yield io.BytesIO(media)
    elif isinstance(media, Path):
        with media.open("rb") as file:
            yield file
    else:
        yield media
