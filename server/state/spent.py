"""What was spent of a day's quota: one row for each owner, shared by all servers of a database.

a video joins the queue ----> its seconds are added, in the same transaction; more than fit: a 429
a video fails, not by its owner's doing ----> they are taken back, with its end
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, case, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gpt4video.errors import Refused
from server.errors import ApiError
from server.state.database import Database
from server.state.tables import spent

THEIR_OWN = ("cancelled", Refused.code)
"""Why a video failed whose seconds are spent all the same: its owner stopped it, or asked for the like."""
OVER_QUOTA = "quota_exceeded"
OF_A_DAY = select(spent.c.video_seconds).where(
    spent.c.owner == bindparam("owner"), spent.c.day == bindparam("day")
)


@dataclass(frozen=True)
class Quota:
    """What an owner may have drawn today."""

    owner: str
    day: str
    most: float
    """Video seconds."""
    retry_after: Mapping[str, str]
    """The header that says when the next day begins."""

    def over(self, seconds: float) -> ApiError:
        """The 429 for a video of these seconds."""
        message = (
            f"This key may have {self.most:g} seconds of video drawn a day; {seconds:g} more are too many."
        )
        headers = dict(self.retry_after)
        return ApiError(429, message, type="insufficient_quota", code=OVER_QUOTA, headers=headers)


class Spent:
    """Video seconds by owner and day; keeps `limits.Spending`'s promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent(self, owner: str, day: str) -> float:
        """Video seconds so far."""
        row = await self._database.at_once(OF_A_DAY, {"owner": owner, "day": day})
        return 0.0 if row is None else float(row["video_seconds"])


async def spend(connection: AsyncConnection, quota: Quota, seconds: float) -> None:
    """Add to what is spent, in this transaction. Raises an `ApiError` (429). Earlier days go."""
    today = (spent.c.owner == quota.owner) & (spent.c.day == quota.day)
    fits = today & (spent.c.video_seconds + seconds <= quota.most)
    begin = text("INSERT INTO spent (owner, day, video_seconds) VALUES (:o, :d, 0) ON CONFLICT DO NOTHING")
    await connection.execute(delete(spent).where(spent.c.owner == quota.owner, spent.c.day < quota.day))
    await connection.execute(begin.bindparams(o=quota.owner, d=quota.day))
    more = update(spent).where(fits).values(video_seconds=spent.c.video_seconds + seconds)
    if not (await connection.execute(more)).rowcount:
        raise quota.over(seconds)


async def take_back(connection: AsyncConnection, video: dict[str, Any]) -> None:
    """Give its owner back what a failed video cost, in this transaction; `video` is its row."""
    if video["error"] is None or video["error"]["code"] in THEIR_OWN:
        return
    day = day_of(datetime.fromtimestamp(video["created_at"], UTC))
    left = spent.c.video_seconds - video["seconds"]
    less = update(spent).where(spent.c.owner == video["owner"], spent.c.day == day)
    await connection.execute(less.values(video_seconds=case((left > 0, left), else_=0.0)))


def day_of(time: datetime) -> str:
    """The day that a time belongs to: days end at midnight UTC."""
    return time.astimezone(UTC).date().isoformat()
