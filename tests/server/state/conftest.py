"""A shelf, its stores and its queue on every kind of database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import postgres
import pytest
import pytest_asyncio

from server.state.blobs import Blobs
from server.state.database import Database, sqlite_url
from server.state.queue import Queue
from server.state.records import FileRecord, VideoRecord
from server.state.shelf import Shelf
from server.state.store import Store
from server.state.tables import files, videos


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "state.db")
    return postgres.emptied(request.getfixturevalue("postgres_server"))


@pytest_asyncio.fixture
async def database(database_url) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest_asyncio.fixture
async def blobs(tmp_path) -> Blobs:
    blobs = Blobs(str(tmp_path / "blobs"))
    await blobs.open()
    return blobs


@pytest.fixture
def shelf(database, blobs) -> Shelf:
    return Shelf(database, blobs)


@pytest.fixture
def files_of(shelf) -> Store[FileRecord]:
    return Store("file", files, FileRecord, shelf)


@pytest.fixture
def videos_of(shelf) -> Store[VideoRecord]:
    return Store("video", videos, VideoRecord, shelf)


@pytest.fixture
def queue(shelf) -> Queue:
    return Queue(shelf, most=20, lease_seconds=60.0, max_attempts=3)
