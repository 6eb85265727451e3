"""What was spent of a day's quota: one row for each owner, shared by all servers of a database."""

from __future__ import annotations

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.state.database import Database
from server.state.tables import spent


class Spent:
    """Video seconds by owner and day; keeps `limits.Spending`'s promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent(self, owner: str, day: str) -> float:
        """Video seconds so far."""
        mine = select(spent.c.video_seconds).where(spent.c.owner == owner, spent.c.day == day)
        row = await self._database.one(mine)
        return 0.0 if row is None else float(row["video_seconds"])

    async def spend(self, owner: str, day: str, seconds: float, most: float) -> bool:
        """Add to it, unless it would come to more than `most`; whether it was added. Earlier days go."""
        today = (spent.c.owner == owner) & (spent.c.day == day)
        fits = today & (spent.c.video_seconds + seconds <= most)
        more = update(spent).where(fits).values(video_seconds=spent.c.video_seconds + seconds)
        begin = text(
            "INSERT INTO spent (owner, day, video_seconds) VALUES (:o, :d, 0) ON CONFLICT DO NOTHING"
        )

        async def work(connection: AsyncConnection) -> bool:
            await connection.execute(delete(spent).where(spent.c.owner == owner, spent.c.day < day))
            await connection.execute(begin.bindparams(o=owner, d=day))
            return bool((await connection.execute(more)).rowcount)

        return await self._database.write(work)
