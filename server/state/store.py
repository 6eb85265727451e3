"""Records of one kind, and their bytes; each record is visible to its owner alone.

Store[FileRecord]   what people posted        Store[VideoRecord]   what was asked for and drawn
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from typing import Any, Generic

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from server.errors import ApiError, bad_request, not_found
from server.state.blobs import Asset, Draft
from server.state.records import Page, R
from server.state.shelf import NOTHING, Shelf
from server.state.tables import assets, blobs

ORDERS = ("asc", "desc")
ASSET = {
    "key": blobs.c.key,
    "size": blobs.c.bytes,
    "sha256": blobs.c.sha256,
    "media_type": assets.c.media_type,
}
"""The fields of an `Asset`, and where they are kept."""


class Store(Generic[R]):
    """Keeps records of one kind."""

    def __init__(self, kind: str, table: Table, record: type[R], shelf: Shelf) -> None:
        self.kind = kind
        self._table = table
        self._record = record
        self._shelf = shelf
        self._columns = columns_of(table, record)
        self._asset = self._asset_query()

    async def known(self, ids: Collection[str], owner: str) -> dict[str, R]:
        """Those of the owner's records that have these ids."""
        ids = [id for id in ids if id.isprintable()]  # ours are; PostgreSQL breaks on a NUL
        if not ids:
            return {}
        mine = select(*self._columns).where(self._table.c.id.in_(ids), self._visible(owner))
        return {row["id"]: self._of(row) for row in await self._shelf.database.rows(mine)}

    async def find(self, id: str, owner: str) -> R | None:
        """The record, if it is there and the owner's."""
        return (await self.known([id], owner)).get(id)

    async def get(self, id: str, owner: str) -> R:
        """The record, or a 404; also for what somebody else owns."""
        if (record := await self.find(id, owner)) is None:
            raise not_found(self.kind, id)
        return record

    async def put(self, record: R, drafts: Mapping[str, Draft] = NOTHING) -> R:
        """Keep a new record and its bytes, by variant."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(self._table).values(values_of(record, self._columns)))

        await self._shelf.write(record.id, drafts, work)
        return record

    async def change(self, record: R, drafts: Mapping[str, Draft] = NOTHING) -> bool:
        """Put a changed record, and its bytes, in the old one's place; False where it was deleted."""

        async def work(connection: AsyncConnection) -> None:
            changed = update(self._table).where(self._table.c.id == record.id)
            values = values_of(record, self._columns)
            if (await connection.execute(changed.values(values))).rowcount == 0:
                raise not_found(self.kind, record.id)

        try:
            await self._shelf.write(record.id, drafts, work)
        except ApiError as error:
            if error.status_code != 404:
                raise
            return False
        return True

    async def delete(self, id: str, owner: str) -> R:
        """Forget a record and its bytes, or a 404."""

        async def work(connection: AsyncConnection) -> tuple[RowMapping, list[str]]:
            mine = delete(self._table).where(self._table.c.id == id, self._visible(owner))
            row = (await connection.execute(mine.returning(*self._columns))).mappings().first()
            if row is None:
                raise not_found(self.kind, id)
            return row, await self._shelf.release(connection, [id])

        await self.get(id, owner)
        row, keys = await self._shelf.database.write(work)
        await self._shelf.blobs.drop(keys)
        return self._of(row)

    async def page(
        self, owner: str, after: str | None, limit: int, order: str, where: Mapping[str, Any] | None = None
    ) -> Page[R]:
        """At most `limit` records after the one with id `after`, in order of their making."""
        if order not in ORDERS:
            raise bad_request(f"order must be 'asc' or 'desc', got {order[:20]!r}.", param="order")
        place = (self._table.c.created_at, self._table.c.id)
        query = select(*self._columns).where(self._visible(owner)).limit(limit + 1)
        query = query.where(*(self._table.c[name] == value for name, value in (where or {}).items()))
        if after is not None:
            if (last := await self.find(after, owner)) is None:
                raise bad_request("after must be the id of an object in this list.", param="after")
            there = (last.created_at, last.id)
            query = query.where(tuple_(*place) > there if order == "asc" else tuple_(*place) < there)
        query = query.order_by(*(column.asc() if order == "asc" else column.desc() for column in place))
        records = [self._of(row) for row in await self._shelf.database.rows(query)]
        return Page(records[:limit], len(records) > limit)

    async def counts(self, column: str) -> dict[str, int]:
        """How many records of all owners there are, by what stands in a column."""
        what = self._table.c[column]
        rows = await self._shelf.database.rows(select(what, func.count().label("count")).group_by(what))
        return {row[column]: row["count"] for row in rows}

    async def asset(self, id: str, owner: str, variant: str | None = None) -> Asset:
        """The bytes of a record, or a picture of it; a 404 where there are none, a 410 once expired."""
        now = time.time()
        values = {"id": id, "owner": owner, "variant": variant or self._record.variant, "now": now}
        row = await self._shelf.database.at_once(self._asset, values) if id.isprintable() else None
        if row is None:
            raise not_found(self.kind, id)
        if row["expires_at"] is not None and row["expires_at"] <= now:
            raise ApiError(410, f"This {self.kind} has expired.", code=f"{self.kind}_expired", param="id")
        if row["key"] is None:
            raise ApiError(404, f"This {self.kind} is not ready.", code=f"{self.kind}_not_ready", param="id")
        return Asset(**{name: row[name] for name in ASSET})

    async def read(self, asset: Asset) -> bytes:
        """All bytes of an asset; a 404 where they were deleted since it was found."""
        try:
            return await self._shelf.blobs.read(asset.key)
        except FileNotFoundError:
            message = f"This {self.kind} was deleted."
            raise ApiError(404, message, code=f"{self.kind}_not_found", param="id") from None

    def _asset_query(self) -> Select[Any]:
        """Of the record `id` of `owner`, the `variant` of its bytes: made once, for it is asked for every
        posted video, and making it takes longer than what it asks for."""
        table = self._table
        this = and_(assets.c.object_id == table.c.id, assets.c.variant == bindparam("variant"))
        query = select(table.c.expires_at, *(column.label(name) for name, column in ASSET.items()))
        query = query.select_from(table.outerjoin(assets, this).outerjoin(blobs))
        return query.where(table.c.id == bindparam("id"), self._visible(bindparam("owner"), bindparam("now")))

    def _visible(self, owner: Any, now: Any = None) -> ColumnElement[bool]:
        """The owner's, and not expired as a whole."""
        if self._record.outlives_its_bytes:
            return self._table.c.owner == owner
        expires = self._table.c.expires_at
        now = time.time() if now is None else now
        return and_(self._table.c.owner == owner, or_(expires.is_(None), expires > now))

    def _of(self, row: RowMapping) -> R:
        return self._record(**row)


def columns_of(table: Table, record: type[Any]) -> list[Any]:
    """The columns that are fields of the record."""
    fields = {field.name for field in dataclasses.fields(record)}
    return [column for column in table.c if column.name in fields]


def values_of(record: Any, columns: Collection[Any]) -> dict[str, Any]:
    """A record as a row."""
    return {column.name: getattr(record, column.name) for column in columns}
