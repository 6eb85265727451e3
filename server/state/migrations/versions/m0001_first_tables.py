"""The first tables: files, videos, blobs, assets, idempotency, keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "files",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("video", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    op.create_index("ix_files_owner_created_at_id", "files", ["owner", "created_at", "id"])
    op.create_table(
        "videos",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("size", sa.String(16), nullable=False),
        sa.Column("fps", sa.Double, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("progress", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("completed_at", sa.Double),
        sa.Column("seed", sa.BigInteger),
        sa.Column("steps", sa.Integer),
        sa.Column("guidance", sa.Double),
        sa.Column("remixed_from", sa.String(64)),
        sa.Column("preview_url", sa.Text),
        sa.Column("error", sa.JSON),
        sa.Column("origin", sa.String(8), nullable=False, server_default="job"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lease", sa.String(32)),
        sa.Column("leased_until", sa.Double),
        sa.Column("leased_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_videos"),
        sa.UniqueConstraint("lease", name="uq_videos_lease"),
    )
    op.create_index("ix_videos_expires_at", "videos", ["expires_at"])
    op.create_index("ix_videos_owner_created_at_id", "videos", ["owner", "created_at", "id"])
    op.create_index("ix_videos_owner_leased_at", "videos", ["owner", "leased_at"])
    op.create_index("ix_videos_status_leased_until", "videos", ["status", "leased_until"])
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_blobs"),
        sa.UniqueConstraint("key", name="uq_blobs_key"),
    )
    op.create_table(
        "assets",
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("variant", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("object_id", "variant", name="pk_assets"),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], name="fk_assets_sha256_blobs"),
    )
    op.create_index("ix_assets_sha256", "assets", ["sha256"])
    op.create_table(
        "idempotency",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("route", sa.String(64), nullable=False),
        sa.Column("key", sa.String(256)),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("leased_until", sa.Double, nullable=False),
        sa.Column("object_id", sa.String(64)),
        sa.Column("answer", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_idempotency"),
        sa.UniqueConstraint("owner", "route", "key", name="uq_idempotency_owner_route_key"),
    )
    op.create_index("ix_idempotency_object_id", "idempotency", ["object_id"])
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])
    op.create_index(
        "ix_idempotency_owner_route_body_sha256", "idempotency", ["owner", "route", "body_sha256"]
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("digest", name="uq_keys_digest"),
    )
