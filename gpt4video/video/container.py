"""What a file is, by its first bytes: an allow-list, asked before any decoder sees the file.

Demuxers guess, and some guesses open other files or addresses (HLS, DASH, concat and SDP playlists,
numbered images). So the guess is made here, from bytes that cannot name anything, and the demuxer is told.
"""

from __future__ import annotations

from gpt4video.errors import VideoError

HEAD_BYTES = 1024
"""How much of a file's beginning `container_of` wants to see: five MPEG-TS packets."""

FORMATS = {
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "mkv": "matroska,webm",
    "avi": "avi",
    "gif": "gif",
    "mpegts": "mpegts",
    "mpeg": "mpeg",
    "flv": "flv",
    "ogg": "ogg",
}
"""Container -> the FFmpeg demuxer that reads it, by its full name (`mp4` is MOV, M4V and 3GP as well)."""

ENDINGS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"}
"""What the name of a video ends with. It never decides how a file is read, only what was meant by it."""

_IMAGE_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""`ftyp` brands of still pictures in the same boxes: HEIF, and AVIF."""


def container_of(head: bytes) -> str:
    """The key of `FORMATS` that these first bytes belong to.

    Raises `VideoError`: `invalid_video` for no bytes at all, `unsupported_video_format` for all others.
    """
    if not head:
        raise VideoError("The file is empty; a video was expected.")
    if head[4:8] == b"ftyp" and head[8:12] not in _IMAGE_BRANDS:
        return "mp4"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    for magic, container in (
        (b"\x1a\x45\xdf\xa3", "mkv"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"\x00\x00\x01\xba", "mpeg"),
        (b"FLV\x01", "flv"),
        (b"OggS", "ogg"),
    ):
        if head.startswith(magic):
            return container
    if _is_transport_stream(head):
        return "mpegts"
    raise VideoError(
        "The file is not a video of a known kind. "
        "MP4, MOV, M4V, 3GP, WebM, MKV, AVI, GIF, MPEG, FLV and Ogg fit.",
        code="unsupported_video_format",
    )


def _is_transport_stream(head: bytes) -> bool:
    """Whether 0x47 begins every packet of 188 bytes, or of 192 with a time code before it (M2TS)."""
    for first, size in ((0, 188), (4, 192)):
        marks = head[first::size]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return True
    return False
