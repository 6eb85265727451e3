"""Where a video's request was traced, so that its drawing, on whichever server, can name it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("videos", sa.Column("traceparent", sa.String(64)))
