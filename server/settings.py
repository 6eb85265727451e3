"""What an operator can set about the web side; the model has its own config file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpt4video.video import DecoderName

MIB = 2**20


@dataclass(frozen=True)
class Settings:
    """Limits and names of one server. Every default works on a laptop."""

    model_id: str = "gpt4video"
    """The name under `/v1/models`, and the one that requests may leave out."""
    data_dir: Path | None = None
    """Where the database and the blobs lie; None is a temporary folder that ends with the server."""
    database_url: str | None = None
    """`sqlite:///FILE` or `postgresql://USER@HOST/NAME`; None is a file in `data_dir`."""
    database_seconds: float = 5.0
    """How long a request waits for a database that somebody else has locked; then it is answered 503."""
    blob_url: str | None = None
    """Where the bytes of files and videos lie: a folder or `s3://BUCKET/PREFIX`; None is in `data_dir`."""
    max_body_bytes: int = 128 * MIB
    """Largest request body; more is answered 413."""
    max_messages: int = 2000
    """Most messages in one conversation."""
    max_videos: int = 32
    """Most posted videos in one conversation."""
    max_side: int = 1024
    """Posted frames are scaled down while decoding until no side is longer, in pixels."""
    max_image_pixels: int = 16_000_000
    """Largest posted picture, in pixels."""
    max_queued_videos: int = 64
    """Most videos that wait or are drawn at once, of jobs and chats together; more are answered 503."""
    lease_seconds: float = 30.0
    """A server that does not show itself for so long has lost what it draws to the next one."""
    max_attempts: int = 3
    """How often a job is begun whose servers are killed, before it counts as failed."""
    video_lifetime: float | None = None
    """How long the bytes of a drawn video are kept, in seconds; None keeps them until they are deleted."""
    sweep_seconds: float = 60.0
    """How often what has expired, and what killed servers left behind, is removed."""
    orphan_seconds: float = 3600.0
    """Bytes that no record names are removed when they are older than this."""
    decoder: DecoderName = "pyav"
    """Which decoder reads posted videos: `pyav`, or `decord` (older, and without AV1)."""
    decode_threads: int = 2
    """How many posted videos are decoded at the same time, each in a confined process with one thread."""
    max_queued_decodes: int = 64
    """Most posted videos that wait for those; more are answered 503."""
    decode_seconds: float = 30.0
    """After this long, a process that reads one file is killed, and the file is called invalid."""
    decode_cpu_seconds: int = 60
    """Processor time of such a process."""
    decode_memory_bytes: int = 1024 * MIB
    """Memory of such a process, besides what it takes before it sees the file."""
    unconfined_decoding: bool = False
    """Decode posted files even where the system cannot confine a decoder (`gpt4video doctor` tells). Only for
    a server to which nobody posts but you."""
    max_video_bytes: int = 256 * MIB
    """Largest posted file, in bytes; `max_body_bytes` may be smaller."""
    max_video_pixels: int = 9_000_000
    """Largest frame of a posted video, in pixels."""
    max_video_side: int = 16_384
    """Longest side of a posted frame or picture, in pixels."""
    max_video_seconds: float = 600.0
    """Longest posted video, in seconds."""
    max_video_frames: int = 36_000
    """Most frames in a posted video."""
    max_video_streams: int = 16
    """Most streams in a posted file, of pictures, sound and all else."""
    max_decoded_bytes: int = 64 * 1024 * MIB
    """Most raw frames that are decoded of one file on the way to those looked at, in bytes."""
    max_clip_bytes: int = 256 * MIB
    """Most memory that the frames looked at may take, in bytes."""
    clip_cache_bytes: int = 128 * MIB
    """Memory for decoded clips, so that the turns of a conversation decode each video once."""
    keep_alive_seconds: float = 15.0
    """A stream that is silent for this long sends a comment, so that proxies keep it open."""
    otlp_endpoint: str | None = None
    """Where traces go, OTLP over HTTP (`http://collector:4318/v1/traces`); None makes none. Needs the extra
    `tracing`."""
