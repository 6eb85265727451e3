"""Ground for servers that are killed, and PostgreSQL servers for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import postgres
import pytest
from fault_ground import Ground

from server.state.database import sqlite_url


@pytest.fixture
def ground(tmp_path) -> Iterator[Ground]:
    (tmp_path / "steering").mkdir()
    folder = tmp_path / "data"
    ground = Ground(folder, tmp_path / "steering", sqlite_url(folder / "gpt4video.db"))
    yield ground
    for process in ground.processes:
        process.kill()
        process.wait()


@pytest.fixture
def postgres_url(postgres_server) -> str:
    return postgres.emptied(postgres_server)


@pytest.fixture
def mortal_postgres() -> Iterator[tuple[str, Callable[[], None]]]:
    """A database, and how to end its server."""
    if (bin := postgres.programs()) is None:
        pytest.skip(postgres.MISSING)
    running = postgres.server(bin)
    url = running.__enter__()
    ended = []

    def stop() -> None:
        if not ended:
            ended.append(True)
            running.__exit__(None, None, None)

    yield f"{url}/postgres", stop
    stop()
