"""What people posted and what was drawn for them, as plain frozen values.

    FileRecord    a posted file            VideoRecord    asked for -> drawn or failed

Records are frozen: a change is a new record put in the old one's place. Each has an owner, and whoever is
not the owner is told that there is no such thing. Times are seconds since 1970, with fractions, so that the
order inside a second is kept; the API writes whole ones.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]

LOCAL = "local"
"""The owner of everything on a server that asks for no key."""


def now() -> int:
    """Unix time in whole seconds, as the API writes times."""
    return int(time.time())


def whole(seconds: float | None) -> int | None:
    """A time as the API writes it."""
    return None if seconds is None else int(seconds)


def new_file_id() -> str:
    """An id that nobody can guess."""
    return f"file-{secrets.token_hex(12)}"


def new_video_id() -> str:
    """An id that nobody can guess."""
    return f"video_{secrets.token_hex(12)}"


@dataclass(frozen=True)
class FileRecord:
    """A posted file. `video` is what a look inside said: duration, size, frames."""

    filename: str
    purpose: str
    bytes: int
    sha256: str
    id: str = field(default_factory=new_file_id)
    owner: str = LOCAL
    created_at: float = field(default_factory=time.time)
    expires_at: float | None = None
    """When it is forgotten; None: not before it is deleted."""
    video: dict[str, Any] = field(default_factory=dict)

    variant: ClassVar[str] = "content"
    outlives_its_bytes: ClassVar[bool] = False

    def as_json(self) -> dict[str, Any]:
        """OpenAI's file object, and `video`."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": int(self.created_at),
            "expires_at": whole(self.expires_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
            "video": self.video,
        }


@dataclass(frozen=True)
class VideoRecord:
    """A video: asked for, being drawn, drawn or failed."""

    model: str
    prompt: str | None
    seconds: float
    size: tuple[int, int]
    fps: float
    id: str = field(default_factory=new_video_id)
    owner: str = LOCAL
    status: VideoStatus = "queued"
    progress: int = 0
    created_at: float = field(default_factory=time.time)
    started_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    """When its bytes are forgotten; None: not before it is deleted."""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    remixed_from: str | None = None
    preview_url: str | None = None
    error: dict[str, str] | None = None
    queue_position: int | None = None
    """How many come before it; told when somebody asks, never kept."""
    traceparent: str | None = None
    """The span of the request that asked for it, as W3C writes it; its drawing is linked to that."""

    variant: ClassVar[str] = "video"
    outlives_its_bytes: ClassVar[bool] = True
    ENDS: ClassVar[tuple[VideoStatus, ...]] = ("completed", "failed")
    """After these nothing changes any more."""

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in self.ENDS

    @property
    def seconds_drawn(self) -> float | None:
        """How long it was drawn, or has been drawn so far."""
        if self.started_at is None:
            return None
        return max(0.0, (self.completed_at or time.time()) - self.started_at)

    @property
    def seconds_left(self) -> float | None:
        """How long it will take if it goes on as it went; only while it is drawn, after the first steps."""
        drawn = self.seconds_drawn
        if self.status != "in_progress" or not self.progress or drawn is None:
            return None
        return drawn * (100 - self.progress) / self.progress

    def as_json(self) -> dict[str, Any]:
        """OpenAI's video object, and ours beside it: where it is, and how it was drawn."""
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": self.status,
            "progress": self.progress,
            "created_at": int(self.created_at),
            "started_at": whole(self.started_at),
            "completed_at": whole(self.completed_at),
            "expires_at": whole(self.expires_at),
            "prompt": self.prompt,
            "seconds": f"{self.seconds:g}",
            "size": f"{self.size[0]}x{self.size[1]}",
            "fps": self.fps,
            "seed": self.seed,
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "remixed_from_video_id": self.remixed_from,
            "error": self.error,
            "queue_position": self.queue_position,
            "eta_seconds": _rounded(self.seconds_left),
            "inference_time_s": _rounded(self.seconds_drawn) if self.finished else None,
            "preview_url": self.preview_url,
            "url": f"/v1/videos/{self.id}/content" if self.status == "completed" else None,
        }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


class Record(Protocol):
    """What a store needs to know of a record."""

    variant: ClassVar[str]
    """The name of the bytes that are the thing itself, among pictures of it."""
    outlives_its_bytes: ClassVar[bool]
    """Whether it stays known (410) when its time is over, or is gone as a whole (404)."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def created_at(self) -> float: ...
    @property
    def expires_at(self) -> float | None: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Page(Generic[R]):
    """One page of a list, oldest or newest first."""

    records: list[R]
    has_more: bool

    def as_json(self, data: list[dict[str, Any]]) -> dict[str, Any]:
        """OpenAI's list object around the records' own objects."""
        return {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": self.has_more,
        }
