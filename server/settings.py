"""What an operator can set about the web side; the model has its own config file."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from gpt4video.config import read, read_yaml
from gpt4video.errors import ConfigError, InputError
from gpt4video.video import DecoderName

MIB = 2**20
VARIABLE = "GPT4VIDEO_"
"""What stands before a setting's name in the environment: `GPT4VIDEO_DATABASE_URL`."""


@dataclass(frozen=True)
class Limits:
    """What one key may use. None is no limit."""

    requests_per_minute: int | None = None
    """Requests that make work: POST under /v1. Looking at what is there is free."""
    tokens_per_minute: int | None = None
    """Tokens read and written."""
    video_seconds_per_day: float | None = None
    """Seconds of video to be drawn, from midnight to midnight UTC; cancelled and deleted ones count,
    failed ones do not."""
    requests_at_once: int | None = None
    """Requests under way at the same time."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be more than 0, got {value}.")


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
    drawing_seconds: float = 3600.0
    """Longest time that one job may be drawn; then it has failed as `timeout`."""
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
    media_hosts: tuple[str, ...] = ()
    """Hosts that videos and pictures named by an address are fetched from: `example.org`, `*.example.org` for
    all below it, `*` for all that are public. None: no address is fetched."""
    fetch_http: bool = False
    """Fetch http addresses too, not https ones alone."""
    fetch_seconds: float = 30.0
    """Longest that fetching one video may take, with all its redirects."""
    fetch_connect_seconds: float = 5.0
    """Longest wait for a connection."""
    fetch_idle_seconds: float = 10.0
    """Longest wait for the next bytes."""
    max_fetches: int = 16
    """Most videos that are fetched at the same time."""
    clip_cache_bytes: int = 128 * MIB
    """Memory for decoded clips, so that the turns of a conversation decode each video once."""
    keep_alive_seconds: float = 15.0
    """A stream that is silent for this long sends a comment, so that proxies keep it open."""
    otlp_endpoint: str | None = None
    """Where traces go, OTLP over HTTP (`http://collector:4318/v1/traces`); None makes none. Needs the extra
    `tracing`."""
    demand_keys: bool = False
    """Ask for a key even as long as none was ever made; `serve` does so on every address but loopback."""
    metrics_need_a_key: bool = False
    """Ask for a key on /metrics, too."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which a server that asks for no key may be called; none means those of loopback, "*" any."""
    cors_origins: tuple[str, ...] = ()
    """Sites whose pages may use this server from a browser, such as `https://app.example.org`."""
    limits: Limits = field(default_factory=Limits)
    """What one key may use, unless it has limits of its own."""
    url_seconds: float = 3600.0
    """How long an address that needs no key shows a video; signed where keys are asked for."""
    request_seconds: float = 600.0
    """Longest time of one request, streams too; more is a 504, or an error at the stream's end."""
    drain_seconds: float = 30.0
    """Told to stop by SIGTERM, how long to go on with what is under way."""
    body_idle_seconds: float = 30.0
    """A body of which nothing comes for so long is answered 408."""
    max_uploads: int = 64
    """Most long bodies that come in at the same time; more are answered 503."""


def settings_of(file: Path | None, environment: Mapping[str, str] = os.environ, **given: Any) -> Settings:
    """Settings from a YAML file, over it the environment, over both what was `given` (None: was not).

    Raises `ConfigError` for a field that nobody knows or a value that does not fit.
    """
    data = (read_yaml(file) or {}) if file else {}
    if not isinstance(data, dict):
        raise ConfigError(f"{file}: expected a mapping of settings.")
    for name, hint in get_type_hints(Settings).items():
        if (text := environment.get(VARIABLE + name.upper())) is not None:
            data[name] = text if hint in PLAIN else yaml.safe_load(text)
    data |= {name: value for name, value in given.items() if value is not None}
    return read(Settings, data, where=str(file or "settings"))


PLAIN = (str, str | None, Path | None)
"""Types whose values in the environment are taken letter by letter; others are read as YAML."""
