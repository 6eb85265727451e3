"""The database: made by whoever comes first, the same as the tables say, and clear when it cannot be had."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from unittest.mock import Mock

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import bindparam, insert, select, text, update

from gpt4video.errors import ConfigError
from server.errors import ApiError, code_of
from server.state.database import Database
from server.state.tables import keys, metadata

KEY = {"name": "n", "digest": "d", "created_at": 1.0, "limits": {}}


async def test_the_migrations_make_what_the_tables_say(database):
    def difference(connection):
        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await database.write(lambda connection: connection.run_sync(difference)) == []


async def test_several_processes_may_start_at_once(database_url):
    code = (
        "import asyncio, sys; from server.state.database import Database;"
        "d = Database(sys.argv[1]); asyncio.run(d.open()); print('open')"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [process.communicate(timeout=120)[0] for process in started] == ["open\n"] * 3


async def test_a_transaction_whose_caller_left_is_done_to_its_end(database):
    entered, go = asyncio.Event(), asyncio.Event()

    async def work(connection):
        await connection.execute(insert(keys).values(id="k", **KEY))
        entered.set()
        await go.wait()

    caller = asyncio.create_task(database.write(work))
    await entered.wait()
    caller.cancel()
    go.set()
    await database.close()
    await asyncio.gather(caller, return_exceptions=True)
    assert [row["id"] for row in await database.rows(select(keys.c.id))] == ["k"]


async def test_what_can_be_left_out_does_not_wait_for_a_lock_and_the_rest_still_does(database, database_url):
    await database.run(insert(keys).values(id="k", **KEY))
    holds, go = asyncio.Event(), asyncio.Event()
    change = update(keys).where(keys.c.id == "k")

    async def hold(connection):
        await connection.execute(change.values(name="first"))
        holds.set()
        await go.wait()

    other = Database(database_url)  # another process
    holding = asyncio.create_task(other.write(hold))
    await holds.wait()
    for _ in range(3):
        with pytest.raises(ApiError) as busy:
            await database.run(change.values(name="left out"), wait=0.01)
        assert code_of(busy.value) == "database_busy"
    waiting = asyncio.create_task(database.run(change.values(name="second")))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    go.set()
    await asyncio.gather(holding, waiting)
    assert (await database.one(select(keys.c.name)))["name"] == "second"
    await other.close()


ONE = (
    select(keys.c.name, keys.c.created_at).where(keys.c.id == bindparam("id"), keys.c.digest == "d").limit(1)
)


async def test_one_row_is_found_at_once_and_where_that_would_wait_in_a_thread(database, monkeypatch):
    await database.run(insert(keys).values(id="k", **KEY))
    assert dict(await database.at_once(ONE, {"id": "k"})) == {"name": "n", "created_at": 1.0}
    assert await database.at_once(ONE, {"id": "x"}) is None
    if database.kind == "sqlite":
        held = Mock()
        held.cursor().execute.side_effect = sqlite3.OperationalError("database is locked")
        monkeypatch.setattr(database, "_in_the_loop", held)
        assert (await database.at_once(ONE, {"id": "k"}))["name"] == "n"
        assert held.cursor().execute.called


async def test_a_broken_transaction_leaves_nothing(database):
    async def work(connection):
        await connection.execute(insert(keys).values(id="k", **KEY))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(work)
    assert await database.rows(select(keys)) == []


async def test_a_database_that_somebody_holds_is_waited_for_and_then_a_503(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/held.db", busy_seconds=0.3)
    await database.open()
    with sqlite3.connect(tmp_path / "held.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await database.rows(select(keys)) == []  # readers never wait
        with pytest.raises(ApiError) as caught:
            await database.run(insert(keys).values(id="k", **KEY))
        assert (caught.value.status_code, caught.value.headers["Retry-After"]) == (503, "1")
        other.execute("ROLLBACK")
    await database.run(insert(keys).values(id="k", **KEY))
    await database.ping(5)
    await database.close()


async def test_the_clock_is_the_time(database):
    row = await database.one(select(database.clock.label("now")))
    assert abs(row["now"] - time.time()) < 5


@pytest.mark.parametrize("url", ["", "x", "mysql://h/d", "sqlite+what:///x", "postgresql://h:port/d"])
def test_a_url_that_nobody_can_open_is_one_clear_line(url):
    with pytest.raises(ConfigError):
        Database(url)


async def test_a_database_that_is_not_there_is_a_503():
    database = Database("postgresql://nobody@127.0.0.1:9/none")
    with pytest.raises(ApiError) as caught:
        await database.rows(text("SELECT 1"))
    assert caught.value.body["error"]["code"] == "database_unavailable"
    await database.close()


async def test_a_file_that_is_no_database_is_told_at_once(tmp_path):
    (tmp_path / "notes.db").write_text("This is a text, and long enough to be asked what it is. " * 20)
    began = time.monotonic()
    with pytest.raises(ApiError) as told:
        await Database(f"sqlite:///{tmp_path / 'notes.db'}").open()
    assert told.value.status_code == 503 and time.monotonic() - began < 10
