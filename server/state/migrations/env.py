"""What Alembic runs: the missing steps, inside the transaction that `Database.open` holds."""

from __future__ import annotations

from alembic import context

from server.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
