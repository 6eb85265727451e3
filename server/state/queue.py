"""The queue of drawings, which all servers on one database share.

    join ----> take ----> beat, beat … ----> finish          exactly one of those who took it may finish
                 ^                 `-- lease runs out --.
                 `--------- taken again ---------------'     at most `max_attempts` times, then failed

A lease is a random token in the job's row. Whoever holds it draws; every write says it again, so that who
lost it (it ran out, the job was cancelled or deleted) changes nothing and learns so. Videos drawn in chats
have rows of the same kind, leased from the start: nobody else could draw them, so when their lease runs out
they have failed. They do not wait for jobs, except for the one that their server is drawing: somebody is
watching.

Owners take turns: first the one who was served longest ago, and of what he asked for the oldest. Leases go by
the database's clock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, literal, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gpt4video.errors import Busy
from server.state.blobs import Draft
from server.state.records import VideoRecord
from server.state.shelf import NOTHING, Shelf
from server.state.spent import Quota, spend, take_back
from server.state.store import columns_of, values_of
from server.state.tables import videos

COME_BACK = 10.0
"""Seconds after which a client may try again: a few drawings of the embedded model."""
PROGRESS_SECONDS = 0.2
"""How long the progress of a drawing waits for a busy database, and with it the drawing."""
ADMISSION_LOCK = 0x67347621
"""The advisory lock on PostgreSQL under which jobs are counted and join."""
INTERRUPTED = {"code": "interrupted", "message": "The server that drew this video was stopped."}
FREE: dict[str, Any] = {"lease": None, "leased_until": None}

COLUMNS = columns_of(videos, VideoRecord)
UNFINISHED = videos.c.status.in_(("queued", "in_progress"))


class Lost(Exception):
    """The lease is not held any more: cancelled, deleted, or taken over by somebody else."""


@dataclass(frozen=True)
class Lease:
    """The right to draw one video and to say how it ended."""

    id: str
    token: str

    @classmethod
    def of(cls, id: str) -> Lease:
        """A new one."""
        return cls(id, secrets.token_hex(16))


class Queue:
    """Who draws what, and who is next."""

    def __init__(self, shelf: Shelf, most: int, lease_seconds: float, max_attempts: int) -> None:
        self._shelf = shelf
        self._database = shelf.database
        self._most = most
        self.lease_seconds = lease_seconds
        self._max_attempts = max_attempts

    async def join(self, record: VideoRecord, lease: Lease | None = None, quota: Quota | None = None) -> None:
        """Stand in the queue, or, with a lease, be drawn at once; its seconds are charged to the quota.

        Raises `Busy` where the queue is too long, and an `ApiError` (429) for what is over the quota.
        """
        row = {**values_of(record, COLUMNS), "origin": "job"}
        if lease is not None:
            row |= {"origin": "chat", **self._held(lease), "attempts": 1}

        async def work(connection: AsyncConnection) -> None:
            if self._database.kind == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({ADMISSION_LOCK})"))
            count = select(func.count()).select_from(videos).where(UNFINISHED)
            if (await connection.execute(count)).scalar_one() >= self._most:
                message = f"{self._most} videos are waiting already; try again later."
                raise Busy(message, retry_after=COME_BACK)
            if quota is not None:
                await spend(connection, quota, record.seconds)
            await connection.execute(insert(videos).values(row))

        await self._database.write(work)

    async def take(self) -> tuple[VideoRecord, Lease] | None:
        """The next job, leased; None where there is nothing to do."""
        if await self._database.one(select(videos.c.id).where(self._free()).limit(1)) is None:
            return None
        lease = Lease.of("")
        others = videos.alias()
        served = (
            select(func.max(others.c.leased_at)).where(others.c.owner == videos.c.owner).scalar_subquery()
        )
        following = (
            select(videos.c.id)
            .where(self._free())
            .order_by(served.asc().nulls_first(), videos.c.created_at, videos.c.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=videos)
            .scalar_subquery()
        )
        taken = update(videos).where(videos.c.id == following)
        taken = taken.values(**self._held(lease), attempts=videos.c.attempts + 1).returning(*COLUMNS)
        for row in await self._database.run(taken):
            record = VideoRecord(**row)
            return record, replace(lease, id=record.id)
        return None

    async def beat(self, leases: Iterable[Lease]) -> set[Lease]:
        """Hold these leases for longer; returns those that are lost."""
        held = {lease.token: lease for lease in leases}
        if not held:
            return set()
        longer = update(videos).where(videos.c.lease.in_(held), UNFINISHED)
        longer = longer.values(leased_until=self._until()).returning(videos.c.lease)
        for row in await self._database.run(longer):
            del held[row["lease"]]
        return set(held.values())

    async def change(self, lease: Lease, record: VideoRecord) -> None:
        """Tell how far it is, unless the database is busy at this moment. Raises `Lost`."""
        changed = update(videos).where(videos.c.lease == lease.token, UNFINISHED)
        changed = changed.values(values_of(record, COLUMNS)).returning(videos.c.id)
        if not await self._database.run(changed, wait=PROGRESS_SECONDS):
            raise Lost

    async def finish(self, lease: Lease, record: VideoRecord, drafts: Mapping[str, Draft] = NOTHING) -> None:
        """Tell how it ended, and keep its bytes, in one step. Raises `Lost`: then nothing is kept.

        A database that is busy or away is asked again for as long as a lease lasts.
        """

        async def work(connection: AsyncConnection) -> None:
            ended = update(videos).where(videos.c.lease == lease.token, UNFINISHED)
            row = values_of(record, COLUMNS)
            if (await connection.execute(ended.values(**row, **FREE))).rowcount != 1:
                raise Lost
            await take_back(connection, row)

        try:
            await self._shelf.write(record.id, drafts, work, patience=self.lease_seconds)
        except Lost:  # unless it was told before, and only the answer was lost
            row = await self._database.one(select(videos.c.completed_at).where(videos.c.id == record.id))
            if row is None or record.completed_at is None or row["completed_at"] != record.completed_at:
                raise

    async def give_back(self, lease: Lease) -> None:
        """Leave a job to whoever comes next, as if it had not been taken."""
        free = update(videos).where(videos.c.lease == lease.token)
        await self._database.run(free.values(**FREE, attempts=videos.c.attempts - 1))

    async def cancel(self, id: str, owner: str) -> bool:
        """Fail the owner's video as cancelled; False where it is finished, unknown or somebody else's."""
        ended = update(videos).where(videos.c.id == id, videos.c.owner == owner, UNFINISHED)
        error = {"code": "cancelled", "message": "The drawing was stopped."}
        return bool(await self._database.run(ended.values(**_failed(error)).returning(videos.c.id)))

    async def give_up(self) -> None:
        """Fail what nobody draws any more and nobody may take again."""
        hopeless = and_(
            UNFINISHED,
            videos.c.leased_until < self._database.clock,
            or_(videos.c.origin == "chat", videos.c.attempts >= self._max_attempts),
        )
        ended = update(videos).where(hopeless).values(**_failed(INTERRUPTED)).returning(*COLUMNS)

        async def work(connection: AsyncConnection) -> None:
            for row in (await connection.execute(ended)).mappings().all():
                await take_back(connection, dict(row))

        if await self._database.one(select(videos.c.id).where(hopeless).limit(1)) is not None:
            await self._database.write(work)

    async def places(self) -> dict[str, int]:
        """How many come before each of those that are not finished."""
        others = videos.alias()
        served = (
            select(func.max(others.c.leased_at)).where(others.c.owner == videos.c.owner).scalar_subquery()
        )
        leased = videos.c.leased_until >= self._database.clock
        query: Select[Any] = select(videos.c.id, videos.c.owner, videos.c.leased_at, leased.label("leased"))
        query = query.add_columns(served.label("served")).where(UNFINISHED)
        query = query.order_by(videos.c.created_at, videos.c.id)
        return in_order(await self._database.rows(query))

    async def placed(self, records: Sequence[VideoRecord]) -> list[VideoRecord]:
        """The records, those that wait with their places."""
        if all(record.status != "queued" for record in records):
            return list(records)
        places = await self.places()
        return [
            replace(record, queue_position=places.get(record.id)) if record.status == "queued" else record
            for record in records
        ]

    def _held(self, lease: Lease) -> dict[str, Any]:
        return {"lease": lease.token, "leased_until": self._until(), "leased_at": self._database.clock}

    def _until(self) -> ColumnElement[float]:
        return self._database.clock + literal(self.lease_seconds)

    def _free(self) -> ColumnElement[bool]:
        """A job that waits, or whose server is gone."""
        left = or_(videos.c.leased_until.is_(None), videos.c.leased_until < self._database.clock)
        return and_(UNFINISHED, videos.c.origin == "job", left, videos.c.attempts < self._max_attempts)


def _failed(error: dict[str, str]) -> dict[str, Any]:
    return {"status": "failed", "error": error, "completed_at": time.time(), "preview_url": None, **FREE}


def in_order(rows: Collection[Any]) -> dict[str, int]:
    """The place of each row, given by age: those that are drawn, then owner by owner in turns.

    A row has `id`, `owner`, `leased` (somebody draws it), `leased_at` (since when) and `served` (when the
    owner last had a turn, or None).
    """
    drawn = sorted((row for row in rows if row["leased"]), key=lambda row: row["leased_at"])
    order = [row["id"] for row in drawn]
    waiting: dict[str, list[str]] = {}
    served: dict[str, float] = {}
    for row in rows:
        if not row["leased"]:
            waiting.setdefault(row["owner"], []).append(row["id"])
            served[row["owner"]] = row["served"] or 0.0
    turn = max(served.values(), default=0.0)
    while waiting:
        owner = min(waiting, key=served.__getitem__)  # of equals the one with the oldest job
        order.append(waiting[owner].pop(0))
        served[owner] = turn = turn + 1.0
        if not waiting[owner]:
            del waiting[owner]
    return {id: place for place, id in enumerate(order)}
