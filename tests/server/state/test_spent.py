"""A day's video seconds, and the secret of addresses: what servers share, on every kind of database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, update

from server.errors import ApiError, code_of
from server.signing import Signer
from server.state.blobs import Blobs
from server.state.database import Database
from server.state.queue import Queue
from server.state.records import VideoRecord
from server.state.shelf import Shelf
from server.state.spent import Quota, Spent, day_of, spend
from server.state.tables import spent, videos

TODAY = day_of(datetime.now(UTC))


def quota(day: str = TODAY, most: float = 5.0) -> Quota:
    return Quota("anna", day, most, {"Retry-After": "60"})


def asked(**more) -> VideoRecord:
    return VideoRecord("m", "x", 1.0, (64, 64), 8.0, owner="anna", **more)


async def test_videos_that_are_asked_for_at_once_on_two_servers_do_not_overshoot(
    queue, database, database_url, tmp_path
):
    other = Database(database_url)
    elsewhere = Queue(Shelf(other, Blobs(str(tmp_path / "blobs"))), 20, 60.0, 3)
    joins = (place.join(asked(), quota=quota()) for place in (queue, elsewhere) * 10)
    results = await asyncio.gather(*joins, return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert len(refused) == 15 and {code_of(error) for error in refused} == {"quota_exceeded"}
    assert refused[0].headers == {"Retry-After": "60"}
    count = await database.one(select(func.count().label("n")).select_from(videos))
    assert (count["n"], await Spent(other).spent("anna", TODAY)) == (5, 5.0)
    await other.close()


@pytest.mark.parametrize(
    ("code", "left"), [("internal_error", 0.0), ("cancelled", 1.0), ("content_policy_violation", 1.0)]
)
async def test_what_fails_without_its_owners_doing_costs_nothing(queue, database, code, left):
    await queue.join(asked(), quota=quota())
    record, lease = await queue.take()
    assert await Spent(database).spent("anna", TODAY) == 1.0
    error = {"code": code, "message": "It broke."}
    await queue.finish(lease, replace(record, status="failed", error=error))
    assert await Spent(database).spent("anna", TODAY) == left


async def test_what_is_drawn_or_stopped_is_spent(queue, database):
    for _ in range(2):
        await queue.join(asked(), quota=quota())
    record, lease = await queue.take()
    await queue.finish(lease, replace(record, status="completed"))
    other, _ = await queue.take()
    assert await queue.cancel(other.id, "anna")
    assert await Spent(database).spent("anna", TODAY) == 2.0


async def test_what_its_servers_gave_up_costs_nothing(queue, database):
    await queue.join(asked(), quota=quota())
    for _ in range(3):
        await queue.take()
        await database.run(update(videos).values(leased_until=1.0))
    await queue.give_up()
    assert await Spent(database).spent("anna", TODAY) == 0.0


async def test_a_full_queue_costs_nothing(shelf, database):
    queue = Queue(shelf, most=1, lease_seconds=60.0, max_attempts=3)
    results = await asyncio.gather(
        *(queue.join(asked(), quota=quota()) for _ in range(3)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert await Spent(database).spent("anna", TODAY) == 1.0


async def test_a_new_day_begins_with_nothing_and_yesterday_is_forgotten(database):
    await database.write(lambda connection: spend(connection, quota("2026-01-31"), 4.0))
    with pytest.raises(ApiError):
        await database.write(lambda connection: spend(connection, quota("2026-01-31"), 2.0))
    await database.write(lambda connection: spend(connection, quota("2026-02-01"), 2.0))
    rows = await database.rows(select(spent.c.day, spent.c.video_seconds))
    assert [tuple(row.values()) for row in rows] == [("2026-02-01", 2.0)]


async def test_servers_that_open_at_once_share_the_secret_of_addresses(database, database_url):
    other = Database(database_url)
    signers = [Signer(100) for _ in range(6)]
    places = (database, other) * 3
    await asyncio.gather(*(signer.open(place) for signer, place in zip(signers, places, strict=True)))
    path, _, query = signers[0].signed("video_1", "key_1").partition("?")
    given = dict(pair.split("=") for pair in query.split("&"))
    assert {signer.signer_of(path, given) for signer in signers} == {"key_1"}
    assert {signer.signer_of(path, {**given, "by": "key_2"}) for signer in signers} == {None}
    await other.close()
