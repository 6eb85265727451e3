"""What is removed without being asked: the expired, and what killed servers left behind.

    files, idempotency     rows whose time is over, and their bytes
    videos                 the bytes; the record stays, and says that it has expired (410)
    orphans                bytes that no record names, once they are older than any upload takes
    drafts                 uploads whose server died

Several servers may sweep at the same time, and beside everything else.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.errors import ApiError
from server.state.shelf import Shelf
from server.state.tables import assets, blobs, files, idempotency, videos

IDEMPOTENCY_SECONDS = 24 * 3600
"""How long a creation is remembered by its key."""
BATCH = 500
"""Records removed in one transaction."""

log = logging.getLogger("gpt4video.server")


class Sweeper:
    """Removes what nobody will miss."""

    def __init__(self, shelf: Shelf, orphan_seconds: float) -> None:
        self._shelf = shelf
        self._orphan_seconds = orphan_seconds

    async def sweep_forever(self, seconds: float) -> None:
        """Sweep now and every so often."""
        while True:
            try:
                await self.sweep()
            except ApiError as error:
                log.warning("Nothing could be swept: %s", error.detail)
            except Exception:
                log.exception("The sweep stumbled.")
            await asyncio.sleep(seconds)

    async def sweep(self) -> None:
        """Everything once."""
        while await self._expired():
            pass
        await self._orphans()

    async def _expired(self) -> int:
        """A batch of what has expired; returns how much it was."""
        database = self._shelf.database
        clock = database.clock
        named = exists().where(assets.c.object_id == videos.c.id)
        over = select(videos.c.id).where(videos.c.expires_at < clock, named).limit(BATCH)
        old = select(files.c.id).where(files.c.expires_at < clock).limit(BATCH)
        forgotten = idempotency.c.created_at < clock - IDEMPOTENCY_SECONDS
        stale = select(idempotency.c.id).where(forgotten).limit(BATCH)
        found = [[row["id"] for row in await database.rows(query)] for query in (over, old, stale)]
        expired_videos, expired_files, answers = found
        if not any(found):
            return 0

        async def work(connection: AsyncConnection) -> list[str]:
            await connection.execute(delete(idempotency).where(idempotency.c.id.in_(answers)))
            await connection.execute(delete(files).where(files.c.id.in_(expired_files)))
            return await self._shelf.release(connection, [*expired_videos, *expired_files])

        await self._shelf.blobs.drop(await database.write(work))
        return sum(len(ids) for ids in found)

    async def _orphans(self) -> None:
        """First the old bytes, then who names them: what is named later is younger."""
        store = self._shelf.blobs
        await store.drop_old_drafts(self._orphan_seconds)
        old = await store.old(self._orphan_seconds)
        for start in range(0, len(old), BATCH):
            keys = old[start : start + BATCH]
            query = select(blobs.c.key).where(blobs.c.key.in_(keys))
            known = {row["key"] for row in await self._shelf.database.rows(query)}
            await store.drop(key for key in keys if key not in known)
