"""Another process takes SQLite's write lock again and again while videos are drawn: none is lost or stuck."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import pytest_asyncio
from starlette.requests import Request
from web_stand_ins import make_assistant

from gpt4video.messages import DrawOptions, GenerationRequest, SamplingParams, user
from server import drawings
from server.app import create_app
from server.errors import ApiError, code_of
from server.once import once
from server.service import Service
from server.settings import Settings
from server.state.records import VideoRecord, new_video_id

PATIENCE = 60.0
"""Seconds; these tests wait for facts, and the machine may be busy."""


class Rival:
    """Somebody else who writes to the same file."""

    def __init__(self, file) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=60, check_same_thread=False)
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def _hold(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    async def hold(self) -> None:
        await asyncio.to_thread(self._hold)  # the server in this process may have to let go first

    def let_go(self) -> None:
        self._connection.execute("ROLLBACK")

    def hold_in_pieces(self, held: float, free: float) -> None:
        def work() -> None:
            while not self._end.is_set():
                self._hold()
                time.sleep(held)
                self.let_go()
                time.sleep(free)

        self._thread = threading.Thread(target=work)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self._connection.close()


@pytest.fixture
def rival(tmp_path) -> Iterator[Rival]:
    made: list[Rival] = []

    class Lazy:
        """Opens the file when there is one."""

        def __getattr__(self, name):
            if not made:
                made.append(Rival(tmp_path / "gpt4video.db"))
            return getattr(made[0], name)

    yield Lazy()
    for each in made:
        each.close()


@pytest_asyncio.fixture
async def serve(tmp_path, rival):
    opened: list[Service] = []

    async def start(**settings) -> Service:
        service = create_app(
            make_assistant(step_seconds=0.05), Settings(data_dir=tmp_path, **settings)
        ).state.service
        opened.append(service)
        await service.open()
        return service

    yield start
    for service in opened:
        await service.close()


async def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not come true in time"
        await asyncio.sleep(0.02)


async def submitted(service: Service) -> str:
    request = GenerationRequest("a red circle")
    return (await service.jobs.submit(service.assistant, request, "local")).id


async def ended(service: Service, *ids: str) -> list[VideoRecord]:
    """The records once they are finished."""
    end = time.monotonic() + PATIENCE
    while True:
        records = [await service.videos.get(id, "local") for id in ids]
        if all(record.finished for record in records):
            return records
        assert time.monotonic() < end, [(r.status, r.progress) for r in records]
        await asyncio.sleep(0.05)


def chat(service: Service):
    conversation = (user("Draw a red circle"),)
    return service.answer(conversation, SamplingParams(), DrawOptions(), True, "local")


async def test_a_drawing_does_not_wait_until_its_progress_can_be_written(serve, rival, monkeypatch):
    monkeypatch.setattr(drawings, "TELL_SECONDS", 0.0)  # it would be told at every step
    service = await serve(database_seconds=10 * PATIENCE, lease_seconds=20 * PATIENCE)
    pen = service.assistant.drawer
    id = await submitted(service)
    await until(lambda: pen.steps >= 1, "the first step")
    await rival.hold()
    await until(lambda: pen.steps == 8, "the last step, with the database locked")
    assert service.jobs.under_way == 1
    rival.let_go()
    [record] = await ended(service, id)
    assert (record.status, record.progress) == ("completed", 100)
    assert await service.videos.read(await service.videos.asset(id, "local"))


async def test_every_end_is_told_between_the_pieces_for_which_the_lock_is_held(serve, rival):
    service = await serve(database_seconds=0.2)
    ids = [await submitted(service) for _ in range(2)]
    told = chat(service)
    async for item in told:
        if isinstance(item, VideoRecord):
            ids.append(item.id)
            break
    rival.hold_in_pieces(held=0.4, free=0.1)
    records = [item async for item in told if isinstance(item, VideoRecord)]
    assert records[-1].status == "completed"
    for record in await ended(service, *ids):
        assert (record.status, record.error) == ("completed", None)
        assert await service.videos.read(await service.videos.asset(record.id, "local"))


async def test_a_lock_longer_than_a_lease_costs_another_drawing_and_no_record(serve, rival):
    service = await serve(database_seconds=0.1, lease_seconds=1.0)
    pen = service.assistant.drawer
    id = await submitted(service)
    await until(lambda: pen.steps >= 1, "the first step")
    await rival.hold()
    await until(lambda: not service.jobs.under_way, "the end of the attempt")
    assert (await service.videos.get(id, "local")).status in ("queued", "in_progress")
    rival.let_go()
    [record] = await ended(service, id)
    assert (record.status, pen.steps) == ("completed", 16)


async def test_a_chat_that_cannot_keep_its_video_says_so_and_the_video_has_failed(serve, rival):
    service = await serve(database_seconds=0.1, lease_seconds=1.0)
    told = chat(service)
    ids = []
    with pytest.raises(ApiError) as refused:
        async for item in told:
            if isinstance(item, VideoRecord):
                if not ids:
                    await rival.hold()
                ids.append(item.id)
    assert code_of(refused.value) == "database_busy"
    rival.let_go()
    [record] = await ended(service, ids[0])
    assert record.error["code"] == "interrupted"


async def test_a_server_that_ends_does_not_wait_for_a_locked_database(serve, rival):
    service = await serve(database_seconds=0.1, lease_seconds=1.0)
    service.assistant.drawer.step_seconds = PATIENCE
    id = await submitted(service)
    await until(lambda: service.jobs.under_way, "the drawing")
    await rival.hold()
    await asyncio.wait_for(service.jobs.close(), PATIENCE)
    rival.let_go()
    assert not (await service.videos.get(id, "local")).finished  # the next server draws it


async def test_what_was_made_is_told_even_where_it_cannot_be_remembered(serve, rival):
    service = await serve(database_seconds=0.1)

    async def make(id: str) -> dict[str, str]:
        await rival.hold()
        return {"id": id}

    app = type("App", (), {"state": type("State", (), {"service": service})})
    scope = {"type": "http", "method": "POST", "path": "/v1/videos", "headers": [(b"idempotency-key", b"k")]}
    response = await once(Request({**scope, "app": app}), {}, make, new_video_id)
    rival.let_go()
    assert response.status_code == 200 and json.loads(response.body)["id"].startswith("video_")


async def test_a_drawing_that_does_not_end_has_failed_and_the_next_is_drawn(serve):
    service = await serve(drawing_seconds=0.5)
    pen = service.assistant.drawer
    pen.step_seconds = PATIENCE
    first, second = await submitted(service), await submitted(service)
    await until(lambda: pen.draws, "the first step")
    pen.step_seconds = 0.0
    [record] = await ended(service, first)
    assert (record.status, record.error["code"]) == ("failed", "timeout")
    [record] = await ended(service, second)
    assert record.status == "completed"
