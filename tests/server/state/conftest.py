"""A shelf, its stores and its queue on every kind of database."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import postgres
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from server.state.blobs import Blobs
from server.state.database import Database, sqlite_url
from server.state.queue import Queue
from server.state.records import FileRecord, VideoRecord
from server.state.shelf import Shelf
from server.state.store import Store
from server.state.tables import files, videos


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if (bin := postgres.programs()) is None:
        pytest.skip(postgres.MISSING)
    with postgres.server(bin) as url:
        yield url


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def database_url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "state.db")
    server = request.getfixturevalue("postgres_server")
    name = f"test_{secrets.token_hex(6)}"
    engine = create_async_engine(
        f"{server.replace('postgresql', 'postgresql+asyncpg')}/postgres", isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return f"{server}/{name}"


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
