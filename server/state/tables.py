"""The tables. A migration makes them (`migrations/`); a test holds the two together.

    files, videos      records, one row each; a video's row is its job as well: who draws it, until when
    blobs              bytes that are there, by their hash
    assets             which bytes belong to which record, and as what; the last one to go frees the blob
    idempotency        creations that may be asked for twice and are done once
    keys               who may ask: digests, never the keys themselves
    secrets            what signs addresses: the same for all servers of this database
    spent              how many seconds of video each key had drawn on a day

Times are seconds since 1970. The columns of `files` and `videos` carry the names of the records' fields.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID, OWNER = String(64), String(64)


class Size(TypeDecorator[tuple[int, int]]):
    """(width, height) as `WxH`."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: tuple[int, int] | None, dialect: Dialect) -> str | None:
        """To the database."""
        return value and f"{value[0]}x{value[1]}"

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[int, int] | None:
        """From the database."""
        if value is None:
            return None
        width, height = value.split("x")
        return int(width), int(height)


class Words(TypeDecorator[str]):
    """Words that every database takes: NUL and halves of characters become the sign for "unreadable"."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        return value and value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace(
            "\0", "�"
        )


files = Table(
    "files",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", OWNER, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, index=True),
    Column("filename", Words, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("video", JSON, nullable=False),
    Index(None, "owner", "created_at", "id"),
)

videos = Table(
    "videos",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", OWNER, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, index=True),
    Column("model", Words, nullable=False),
    Column("prompt", Words),
    Column("seconds", Double, nullable=False),
    Column("size", Size, nullable=False),
    Column("fps", Double, nullable=False),
    Column("status", String(16), nullable=False),
    Column("progress", Integer, nullable=False),
    Column("started_at", Double),
    Column("completed_at", Double),
    Column("seed", BigInteger),
    Column("steps", Integer),
    Column("guidance", Double),
    Column("remixed_from", ID),
    Column("preview_url", Text),
    Column("error", JSON(none_as_null=True)),
    Column("traceparent", String(64)),
    # The job: `origin` says who draws it (any server for a "job", only the one that streams the answer for a
    # "chat"), `lease` is the secret of whoever does at the moment, good until `leased_until`.
    Column("origin", String(8), nullable=False, server_default="job"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("lease", String(32), unique=True),
    Column("leased_until", Double),
    Column("leased_at", Double),
    Index(None, "owner", "created_at", "id"),
    Index(None, "owner", "leased_at"),
    Index(None, "status", "leased_until"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("key", String(128), nullable=False, unique=True),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
)

assets = Table(
    "assets",
    metadata,
    Column("object_id", ID, primary_key=True),
    Column("variant", String(16), primary_key=True),
    Column("sha256", String(64), ForeignKey(blobs.c.sha256), nullable=False, index=True),
    Column("media_type", String(64), nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", OWNER, nullable=False),
    Column("route", String(64), nullable=False),
    Column("key", String(256)),
    Column("body_sha256", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("leased_until", Double, nullable=False),
    Column("object_id", ID, index=True),
    Column("answer", JSON(none_as_null=True)),
    UniqueConstraint("owner", "route", "key"),
    Index(None, "owner", "route", "body_sha256"),
    Index(None, "created_at"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", Words, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("limits", JSON, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", String(128), nullable=False),
)

spent = Table(
    "spent",
    metadata,
    Column("owner", OWNER, primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("video_seconds", Double, nullable=False),
)
