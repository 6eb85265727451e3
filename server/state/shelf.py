"""Records and bytes in step, whenever the server may be killed.

    write     bytes to their key, then one transaction: the record, its assets, the blob if it is new
    release   one transaction: assets gone, blobs that nobody needs gone; then their bytes

So bytes come before what names them and go after it. What is left behind by a server that was killed in
between are bytes that nobody names: `Sweeper` removes them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from server.errors import DATABASE, code_of
from server.state.blobs import Blobs, Draft
from server.state.database import Database
from server.state.tables import assets, blobs, idempotency

T = TypeVar("T")

INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""Both know `ON CONFLICT DO NOTHING`, each in a class of its own."""

NOTHING: Mapping[str, Draft] = {}

PAUSE = 0.2
"""Seconds until a database that could not be reached is asked again."""


class Shelf:
    """A database and the bytes that it names."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database = database
        self.blobs = blobs

    async def write(
        self,
        id: str,
        drafts: Mapping[str, Draft],
        work: Callable[[AsyncConnection], Awaitable[T]],
        patience: float = 0.0,
    ) -> T:
        """Run `work` and give the drafts, by variant, to the record `id`: all of it or nothing.

        A database that is locked or away is asked again for `patience` seconds. One that broke off may have
        committed all the same: then the bytes stay, and `work` finds what it did before.
        """
        keys = {variant: await self.blobs.keep(draft) for variant, draft in drafts.items()}
        needless: list[str] = []

        async def transaction(connection: AsyncConnection) -> T:
            needless.clear()
            result = await work(connection)
            for variant, draft in drafts.items():
                if not await self._attach(connection, id, variant, draft, keys[variant]):
                    needless.append(keys[variant])
            return result

        end = time.monotonic() + patience
        may_be_committed = False
        while True:
            try:
                result = await self.database.write(transaction)
                break
            except Exception as error:
                code = code_of(error)
                may_be_committed |= code == "database_unavailable"
                if code not in DATABASE or time.monotonic() >= end:
                    if not may_be_committed:
                        await self.blobs.drop(keys.values())
                    raise
            await asyncio.sleep(PAUSE)
        await self.blobs.drop(needless)
        return result

    async def _attach(
        self, connection: AsyncConnection, id: str, variant: str, draft: Draft, key: str
    ) -> bool:
        """Say whose bytes these are; False where the same bytes are here under another key."""
        row = {"sha256": draft.sha256, "key": key, "bytes": draft.size, "created_at": time.time()}
        new = INSERTS[self.database.kind](blobs).values(row).on_conflict_do_nothing(index_elements=["sha256"])
        # FOR KEY SHARE: whoever deletes the last record of these bytes at this moment waits for us.
        held = select(blobs.c.key).where(blobs.c.sha256 == draft.sha256)
        held = held.with_for_update(read=True, key_share=True)
        while True:
            if (await connection.execute(new.returning(blobs.c.key))).first() is not None:
                is_new = True
                break
            if (await connection.execute(held)).first() is not None:
                is_new = False
                break
        asset = {
            "object_id": id,
            "variant": variant,
            "sha256": draft.sha256,
            "media_type": draft.media_type,
        }
        await connection.execute(insert(assets).values(asset))
        return is_new

    async def release(self, connection: AsyncConnection, ids: Collection[str]) -> list[str]:
        """Take all assets from these records; returns the keys to `drop` once this is committed."""
        gone = delete(assets).where(assets.c.object_id.in_(ids)).returning(assets.c.sha256)
        hashes = sorted({row.sha256 for row in await connection.execute(gone)})
        await connection.execute(delete(idempotency).where(idempotency.c.object_id.in_(ids)))
        these = blobs.c.sha256.in_(hashes)
        # One statement to wait for those who attach, another one to see what they have attached.
        await connection.execute(
            select(blobs.c.sha256).where(these).order_by(blobs.c.sha256).with_for_update()
        )
        unneeded = delete(blobs).where(these, ~exists().where(assets.c.sha256 == blobs.c.sha256))
        return [row.key for row in await connection.execute(unneeded.returning(blobs.c.key))]
