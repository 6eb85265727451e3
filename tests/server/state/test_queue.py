"""The queue: who is next, who may finish, and what becomes of those whose server is gone."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from gpt4video.errors import Busy
from server.state.queue import Lease, Lost, Queue, in_order
from server.state.records import VideoRecord
from server.state.tables import videos


def asked(owner: str = "anna", **more) -> VideoRecord:
    return VideoRecord("m", "x", 1.0, (64, 64), 8.0, owner=owner, **more)


async def joined(queue, *owners: str) -> list[str]:
    records = [asked(owner, created_at=100.0 + i) for i, owner in enumerate(owners)]
    for record in records:
        await queue.join(record)
    return [record.id for record in records]


async def run_out(shelf) -> None:
    """Let all leases run out."""
    await shelf.database.run(update(videos).values(leased_until=1.0).where(videos.c.lease.is_not(None)))


async def publish(queue, blobs, record: VideoRecord, lease: Lease, data: bytes) -> None:
    async with AsyncExitStack() as stack:
        draft = await stack.enter_async_context(blobs.draft("video/mp4"))
        await draft.write(data)
        done = replace(record, status="completed", progress=100)
        await queue.finish(lease, done, {"video": draft})


async def test_owners_take_turns_and_each_is_served_in_order(queue):
    a1, a2, a3, b1, b2, c1 = await joined(queue, "a", "a", "a", "b", "b", "c")
    places = await queue.places()
    told = sorted(places, key=places.__getitem__)
    taken = []
    while (job := await queue.take()) is not None:
        taken.append(job[0].id)
    assert taken == told == [a1, b1, c1, a2, b2, a3]
    new = (await joined(queue, "a", "d"))[1]
    assert (await queue.take())[0].id == new  # never served


async def test_the_order_told_is_the_order_of_turns():
    rows = [
        {"id": id, "owner": id[0], "leased": id == "b1", "leased_at": 7.0 if id == "b1" else None}
        for id in ("a1", "a2", "b1", "b2", "c1")
    ]
    served = {"a": 3.0, "b": 7.0, "c": None}
    order = in_order([{**row, "served": served[row["owner"]]} for row in rows])
    assert sorted(order, key=order.__getitem__) == ["b1", "c1", "a1", "b2", "a2"]


async def test_a_job_is_taken_by_one_however_many_ask(queue):
    ids = await joined(queue, *"abcdefgh")
    taken = await asyncio.gather(*(queue.take() for _ in range(12)))
    got = [job[0].id for job in taken if job is not None]
    assert sorted(got) == sorted(ids)


async def test_a_queue_that_is_full_says_when_to_come_back(shelf):
    queue = Queue(shelf, most=2, lease_seconds=60.0, max_attempts=3)
    results = await asyncio.gather(*(queue.join(asked()) for _ in range(5)), return_exceptions=True)
    full = [result for result in results if result is not None]
    assert len(full) == 3 and all(isinstance(result, Busy) for result in full)
    assert full[0].retry_after > 0
    with pytest.raises(Busy):
        await queue.join(asked(), Lease.of("x"))
    record, lease = await queue.take()
    await queue.finish(lease, replace(record, status="failed"))
    await queue.join(asked())


async def test_only_who_holds_the_lease_may_finish(queue, shelf, blobs, videos_of, tmp_path):
    await joined(queue, "anna")
    record, first = await queue.take()
    assert await queue.take() is None
    await run_out(shelf)
    again, second = await queue.take()
    assert again.id == record.id and first != second
    await publish(queue, blobs, again, second, b"the second")
    for late in (b"the first", b"the second"):
        with pytest.raises(Lost):
            await publish(queue, blobs, record, first, late)
    with pytest.raises(Lost):
        await queue.change(first, replace(record, progress=50))
    assert await videos_of.read(await videos_of.asset(record.id, "anna")) == b"the second"
    kept = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert len(kept) == 1


async def test_two_that_finish_at_once_publish_one_result(queue, blobs, videos_of, shelf):
    await joined(queue, "anna")
    record, lease = await queue.take()
    both = [publish(queue, blobs, record, lease, data) for data in (b"one", b"two")]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(isinstance(result, Lost) for result in results) == [False, True]
    assert await videos_of.read(await videos_of.asset(record.id, "anna")) in (b"one", b"two")
    assert len(await blobs.old(0)) == 1


async def test_the_heartbeat_keeps_what_is_held_and_tells_what_is_lost(queue, shelf, videos_of):
    await joined(queue, "anna", "anna", "anna")
    (one, first), (two, second), (_, third) = [await queue.take() for _ in range(3)]
    assert await queue.cancel(one.id, "anna")
    assert not await queue.cancel(one.id, "anna")
    assert not await queue.cancel(two.id, "bob")
    await videos_of.delete(two.id, "anna")
    assert await queue.beat([first, second, third]) == {first, second}
    await run_out(shelf)
    assert await queue.beat([third]) == set()
    assert await queue.take() is None


async def test_a_job_whose_servers_die_is_begun_again_and_then_given_up(queue, shelf, videos_of):
    [id] = await joined(queue, "anna")
    for _ in range(3):
        await queue.give_up()
        assert (await queue.take())[0].id == id
        await run_out(shelf)
    assert await queue.take() is None
    await queue.give_up()
    record = await videos_of.get(id, "anna")
    assert (record.status, record.error["code"]) == ("failed", "interrupted")


async def test_a_job_that_is_given_back_has_lost_no_attempt(queue):
    [id] = await joined(queue, "anna")
    for _ in range(5):
        record, lease = await queue.take()
        assert record.id == id
        await queue.give_back(lease)


async def test_a_video_of_a_chat_is_nobody_elses_and_fails_with_its_server(queue, shelf, videos_of):
    record = asked()
    await queue.join(record, Lease.of(record.id))
    assert await queue.take() is None
    await queue.give_up()
    assert (await videos_of.get(record.id, "anna")).status == "queued"
    await run_out(shelf)
    assert await queue.take() is None
    await queue.give_up()
    assert (await videos_of.get(record.id, "anna")).error["code"] == "interrupted"


async def test_only_who_waits_has_a_place(queue, shelf):
    await joined(queue, "anna", "anna")
    record, _ = await queue.take()
    rows = await shelf.database.rows(select(videos.c.id, videos.c.status))
    assert {row["status"] for row in rows} == {"queued"}
    other = next(row["id"] for row in rows if row["id"] != record.id)
    assert await queue.places() == {record.id: 0, other: 1}
    drawn = replace(record, status="in_progress")
    assert [r.queue_position for r in await queue.placed([record, drawn])] == [0, None]


def test_tokens_are_secrets():
    tokens = {Lease.of("x").token for _ in range(100)}
    assert len(tokens) == 100 and all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens)
