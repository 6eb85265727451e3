"""Creations that are asked for twice and done once.

    begin --new--> (the work) --> done: the answer is kept          24 hours
      |                 `-------> undone: it failed, and may be tried again
      |--same, done-------------> the kept answer
      |--same, under way--------> waits for it
      `--same key, other body---> 409

Two ways to be the same: the client says so with an `Idempotency-Key`; or it is the SDK that silently sends a
request again (`x-stainless-retry-count`), and an equal one of the same owner began a few minutes ago.

The id of what is made is chosen at the beginning. Should the server be killed after making it and before
keeping the answer, the next one asks whether there is such an object.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, Select, and_, delete, select, update

from server.errors import ApiError
from server.state.database import Database
from server.state.shelf import INSERTS
from server.state.sweep import IDEMPOTENCY_SECONDS
from server.state.tables import idempotency

RESENT_SECONDS = 600
"""How far back an equal creation counts as the one that is sent again: the SDK's own timeout."""
UNDER_WAY_SECONDS = 120
"""After so long, work that has neither ended nor failed belonged to a server that was killed."""
WAIT_SECONDS = 60
"""How long a second request waits for the first one."""

Found = Callable[[str], Awaitable[dict[str, Any] | None]]
"""What a client is told of an object of this id, if there is one."""


@dataclass(frozen=True)
class Asked:
    """A creation as it was asked for."""

    owner: str
    route: str
    body_sha256: str
    key: str | None = None
    resent: bool = False


@dataclass(frozen=True)
class Begun:
    """Work to be done, and the id for what it makes."""

    id: str
    object_id: str


class Creations:
    """What was created lately, by whom and from what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, asked: Asked, object_id: str, found: Found) -> Begun | dict[str, Any]:
        """Work to do, or the answer that was given already. Raises `ApiError` (409)."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            if asked.key is None and not asked.resent:
                return await self._insert(asked, object_id)
            row = await self._database.one(self._same(asked))
            if row is None:
                try:
                    return await self._insert(asked, object_id)
                except Taken:  # an equal request came at the same moment
                    continue
            if row["created_at"] < row["now"] - IDEMPOTENCY_SECONDS:
                await self.undone(Begun(row["id"], object_id))
                continue
            if row["body_sha256"] != asked.body_sha256:
                raise conflict("This Idempotency-Key was used with another body.", "idempotency_conflict")
            if row["answer"] is not None:
                return dict(row["answer"])
            if row["leased_until"] < row["now"] and (begun := await self._take_over(row, found)):
                return begun
            if time.monotonic() >= end:
                message = "An equal request is still under way; ask again for its answer."
                raise conflict(message, "idempotency_in_progress", retry=True)
            await asyncio.sleep(0.1)

    async def done(self, begun: Begun, answer: dict[str, Any]) -> None:
        """Keep the answer."""
        row = update(idempotency).where(idempotency.c.id == begun.id)
        await self._database.run(row.values(answer=answer))

    async def undone(self, begun: Begun) -> None:
        """Nothing was made: an equal request may try again."""
        await self._database.run(delete(idempotency).where(idempotency.c.id == begun.id))

    async def _insert(self, asked: Asked, object_id: str) -> Begun:
        """Raises `Taken` where the key is in use."""
        begun = Begun(secrets.token_hex(16), object_id)
        clock = self._database.clock
        row = {
            "id": begun.id,
            "owner": asked.owner,
            "route": asked.route,
            "key": asked.key,
            "body_sha256": asked.body_sha256,
            "created_at": clock,
            "leased_until": clock + UNDER_WAY_SECONDS,
            "object_id": object_id,
        }
        new = INSERTS[self._database.kind](idempotency).values(row).on_conflict_do_nothing()
        if not await self._database.run(new.returning(idempotency.c.id)):
            raise Taken
        return begun

    async def _take_over(self, row: RowMapping, found: Found) -> Begun | dict[str, Any] | None:
        """The work of a server that was killed; None where somebody else was quicker."""
        begun = Begun(row["id"], row["object_id"])
        if (answer := await found(begun.object_id)) is not None:
            await self.done(begun, answer)
            return answer
        mine = and_(idempotency.c.id == begun.id, idempotency.c.leased_until == row["leased_until"])
        longer = update(idempotency).where(mine).values(leased_until=self._database.clock + UNDER_WAY_SECONDS)
        return begun if await self._database.run(longer.returning(idempotency.c.id)) else None

    def _same(self, asked: Asked) -> Select[Any]:
        """The equal creation that counts, and the time."""
        clock = self._database.clock
        query = select(idempotency, clock.label("now"))
        query = query.where(idempotency.c.owner == asked.owner, idempotency.c.route == asked.route)
        if asked.key is not None:
            return query.where(idempotency.c.key == asked.key)
        recent = idempotency.c.created_at > clock - RESENT_SECONDS
        query = query.where(idempotency.c.body_sha256 == asked.body_sha256, recent)
        return query.order_by(idempotency.c.created_at.desc()).limit(1)


class Taken(Exception):
    """Somebody else has this key."""


def conflict(message: str, code: str, retry: bool = False) -> ApiError:
    """A 409, which the SDK would send again unless it is told not to."""
    headers = {"x-should-retry": "true", "Retry-After": "1"} if retry else {"x-should-retry": "false"}
    return ApiError(409, message, type="conflict_error", code=code, headers=headers)
