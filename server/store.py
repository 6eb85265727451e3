"""Where files and videos are kept: bytes in a folder, records in memory.

    Store[FileRecord]   what people posted        Store[VideoRecord]   what was asked for and drawn

Records are frozen: a change is a new record put in the old one's place. A durable store keeps the same
seven methods over a database.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, Protocol, TypeVar

from server.errors import ApiError, bad_request, not_found

VideoStatus = Literal["queued", "in_progress", "completed", "failed"]


def now() -> int:
    """Unix time in whole seconds, as the API writes times."""
    return int(time.time())


@dataclass(frozen=True)
class FileRecord:
    """A posted file. `video` is what a look inside said: duration, size, frames."""

    filename: str
    purpose: str
    bytes: int
    sha256: str
    id: str = field(default_factory=lambda: f"file-{secrets.token_hex(12)}")
    created_at: int = field(default_factory=now)
    video: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """OpenAI's file object, and `video`."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_at,
            "expires_at": None,
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
    id: str = field(default_factory=lambda: f"video_{secrets.token_hex(12)}")
    status: VideoStatus = "queued"
    progress: int = 0
    created_at: int = field(default_factory=now)
    started_at: int | None = None
    completed_at: int | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    remixed_from: str | None = None
    preview_url: str | None = None
    error: dict[str, str] | None = None
    queue_position: int | None = None
    """How many come before it; only `Line.placed` knows, so it is not kept."""

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("completed", "failed")

    def as_json(self) -> dict[str, Any]:
        """OpenAI's video object, and ours beside it: where it is, and how it was drawn."""
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": self.status,
            "progress": self.progress,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "expires_at": None,
            "prompt": self.prompt,
            "seconds": f"{self.seconds:g}",
            "size": f"{self.size[0]}x{self.size[1]}",
            "fps": self.fps,
            "seed": self.seed,
            "num_inference_steps": self.steps,
            "remixed_from_video_id": self.remixed_from,
            "error": self.error,
            "queue_position": self.queue_position,
            "preview_url": self.preview_url,
            "url": f"/v1/videos/{self.id}/content" if self.status == "completed" else None,
        }


class Record(Protocol):
    """What a store needs to know of a record."""

    @property
    def id(self) -> str: ...


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


class Store(Generic[R]):
    """Records of one kind, and their bytes in files that carry their ids."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self._records: dict[str, R] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, id: str) -> bool:
        return id in self._records

    def get(self, id: str) -> R:
        """The record, or a 404."""
        try:
            return self._records[id]
        except KeyError:
            raise not_found(self.kind, id) from None

    def put(self, record: R) -> R:
        """Keep a new record, or a changed one in its old place."""
        self._records[record.id] = record
        return record

    def delete(self, id: str) -> R:
        """Forget a record and its bytes."""
        record = self.get(id)
        del self._records[id]
        self.path(id).unlink(missing_ok=True)
        return record

    def page(self, after: str | None, limit: int, order: str, where: dict[str, Any] | None = None) -> Page[R]:
        """At most `limit` records after the one with id `after`, in order of their making."""
        if order not in ("asc", "desc"):
            raise bad_request(f"order must be 'asc' or 'desc', got {order[:20]!r}.", param="order")
        records = [
            r for r in self._records.values() if all(getattr(r, k) == v for k, v in (where or {}).items())
        ]
        if order == "desc":
            records.reverse()
        if after is not None:
            places = [i for i, record in enumerate(records) if record.id == after]
            if not places:
                raise bad_request("after must be the id of an object in this list.", param="after")
            records = records[places[0] + 1 :]
        return Page(records[:limit], len(records) > limit)

    def path(self, id: str) -> Path:
        """Where the bytes of a record lie. Ids are ours, never a client's: look the record up first."""
        return self.folder / id

    def write(self, id: str, data: bytes) -> None:
        """Keep the bytes of a record whole or not at all."""
        part = self.folder / f"{id}.part"
        part.write_bytes(data)
        part.replace(self.path(id))

    def read(self, id: str) -> bytes:
        """The bytes of a record, or a 404 where they are not there yet."""
        self.get(id)
        try:
            return self.path(id).read_bytes()
        except FileNotFoundError:
            raise ApiError(404, f"This {self.kind} is not ready.", code=f"{self.kind}_not_ready") from None


def sha256(data: bytes) -> str:
    """The content address of bytes."""
    return hashlib.sha256(data).hexdigest()


def keep_upload(source: BinaryIO, target: Path) -> tuple[int, str]:
    """Copy an upload to `target`; returns its length and SHA-256. Blocking: call it in a thread."""
    with target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
    with target.open("rb") as kept:
        digest = hashlib.file_digest(kept, "sha256").hexdigest()
    return target.stat().st_size, digest
