"""The database: SQLite in a file by default, PostgreSQL by URL.

    rows(query)      read: plain rows                         one(query)    the first of them, or None
    at_once(query)   the same as `one`, for what an index finds, and for every request
                     each may be followed by the values of the query's `bindparam`s
    write(work)      `work(connection)` in one transaction, to its end even where the caller is cancelled
    write(work, wait)   the same for what can be left out: its turn comes within `wait` seconds, or never

SQLite runs in WAL mode: readers hardly ever wait. A read is one trip to a thread; through the asynchronous
driver each of its steps (cursor, execute, fetch, close, rollback) would be one. To find one row takes less
than the trip: that is done in the event loop, unless it would have to wait. Writers take turns: inside this
process by a lock, between processes by SQLite's own, which is taken at the beginning of a transaction
(`BEGIN IMMEDIATE`), because one that begins by reading cannot wait for it later. Between hosts, and for many
processes, use PostgreSQL.

A database that is locked for too long, full or away is an `ApiError` (503 or 507), never a broken answer.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    Connection,
    Executable,
    Float,
    PoolProxiedConnection,
    RowMapping,
    Select,
    create_engine,
    event,
    literal_column,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql import ColumnElement

from gpt4video.errors import ConfigError
from server.errors import ApiError, database_away, database_busy, storage_full

T = TypeVar("T")
Values = Mapping[str, Any] | None
"""What stands for the `bindparam`s of a query, by their names."""

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
"""What stands before `://`, and the driver that serves it."""

CLOCKS = {
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
    "postgresql": "extract(epoch from clock_timestamp())::float8",
}
"""The database's own clock in seconds since 1970: leases of several hosts go by one clock."""

MIGRATION_LOCK = 0x67347620
"""The advisory lock on PostgreSQL under which one process at a time migrates."""
MIGRATION_SECONDS = 60
"""How long a process waits at its start for another one that migrates."""

READERS = 8
"""How many threads read from SQLite at most, each on a connection of its own."""

FILE_NAME = "gpt4video.db"
"""The database in a data folder, where no other is named."""


def sqlite_url(file: Path) -> str:
    """The URL of a database in a file."""
    return f"sqlite:///{file}"


class Database:
    """A pool of connections to one database."""

    def __init__(self, url: str, busy_seconds: float = 5.0) -> None:
        """Raises `ConfigError` for a URL that nobody here can open; connects to nothing yet."""
        self.busy_seconds = busy_seconds
        self._engine = _engine(url, busy_seconds)
        self.kind = self._engine.dialect.name
        self.clock: ColumnElement[float] = literal_column(CLOCKS[self.kind], Float)
        self._in_the_loop: PoolProxiedConnection | None = None
        self._turn = asyncio.Lock()
        self._writing: set[asyncio.Task[Any]] = set()
        if self.kind == "sqlite":
            self._readers = create_engine(
                self._engine.url.set(drivername="sqlite"), hide_parameters=True, pool_size=READERS
            )
            self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="read")
            event.listen(self._readers, "connect", self._prepare)
            event.listen(self._engine.sync_engine, "connect", self._prepare)
            event.listen(self._engine.sync_engine, "begin", self._begin)

    def _prepare(self, connection: Any, _: Any) -> None:
        """Each new SQLite connection: transactions begin where we say, and wait for their turn."""
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            _patience(self.busy_seconds),
            "PRAGMA foreign_keys = on",
            "PRAGMA synchronous = normal",
        ):
            cursor.execute(pragma)
        cursor.close()

    async def open(self) -> None:
        """Make or bring up to date the tables. Several processes may do so at the same time."""
        with _translated():
            if self.kind == "sqlite":
                await self._use_wal()
            async with self._engine.connect() as connection:
                connection = await connection.execution_options(writes=True, wait=MIGRATION_SECONDS)
                async with connection.begin():
                    if self.kind == "postgresql":
                        await connection.execute(text(f"SET LOCAL lock_timeout = {1000 * MIGRATION_SECONDS}"))
                        await connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                    await connection.run_sync(_migrate)
                await connection.invalidate()
            if self.kind == "sqlite" and self._in_the_loop is None:
                self._in_the_loop = self._readers.raw_connection()
                self._in_the_loop.cursor().execute(_patience(0))

    async def _use_wal(self) -> None:
        """WAL mode stays in the file. Switching to it does not wait for others by itself."""
        end = asyncio.get_running_loop().time() + MIGRATION_SECONDS
        while True:
            try:
                async with self._engine.connect() as connection:
                    raw = await connection.get_raw_connection()
                    await raw.driver_connection.execute("PRAGMA journal_mode = wal")
                return
            except (DBAPIError, sqlite3.Error) as error:
                taken = _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))
                if not taken or asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Let what is being written end, then close all connections."""
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._engine.dispose()
        if self._in_the_loop is not None:
            self._in_the_loop.close()
            self._in_the_loop = None
        if self.kind == "sqlite":
            await asyncio.to_thread(self._readers.dispose)

    async def rows(self, query: Executable, values: Values = None) -> Sequence[RowMapping]:
        """What a query finds."""
        if self.kind == "sqlite":
            loop = asyncio.get_running_loop()
            return await self._whole(loop.run_in_executor(self._threads, self._read, query, values))

        async def read() -> Sequence[RowMapping]:
            with _translated():
                async with self._engine.connect() as connection:
                    return (await connection.execute(query, values)).mappings().all()

        return await self._whole(read())

    async def one(self, query: Executable, values: Values = None) -> RowMapping | None:
        """The first row that a query finds."""
        found = await self.rows(query, values)
        return found[0] if found else None

    async def at_once(self, query: Select[Any], values: Values = None) -> Mapping[str, Any] | None:
        """The first row of a query that is made once, and looks at one or few rows: words and numbers alone.

        SQLAlchemy writes its SQL, and on SQLite has no part in running it: that takes thrice as long as the
        rest.
        """
        if self._in_the_loop is not None:
            sql, own, names = _written(query)
            try:
                cursor = self._in_the_loop.cursor()
                cursor.execute(sql, {**own, **(values or {})})
                row = cursor.fetchone()
                cursor.close()
                return None if row is None else dict(zip(names, row, strict=True))
            except sqlite3.DatabaseError:
                pass  # it would have to wait; or it broke, which is told by what follows
        found = await self.one(query, values)
        return None if found is None else {str(name): value for name, value in found.items()}

    def _read(self, query: Executable, values: Values) -> Sequence[RowMapping]:
        """SQLite, in a thread: what a query finds."""
        with _translated(), self._readers.connect() as connection:
            return connection.execute(query, values).mappings().all()

    async def write(self, work: Callable[[AsyncConnection], Awaitable[T]], wait: float | None = None) -> T:
        """What `work` gives, once it is committed. It runs once, or not at all where an error comes out.

        `wait` is how long somebody else's lock is waited for, in seconds; None: `busy_seconds`.
        """

        async def transaction() -> T:
            with _translated():
                async with self._connection(wait) as connection:
                    return await work(connection)

        return await self._whole(transaction())

    async def run(self, query: Executable, wait: float | None = None) -> Sequence[RowMapping]:
        """One statement that writes, and the rows that it returns."""

        async def work(connection: AsyncConnection) -> Sequence[RowMapping]:
            result = await connection.execute(query)
            return result.mappings().all() if result.returns_rows else ()

        return await self.write(work, wait)

    @asynccontextmanager
    async def _connection(self, wait: float | None) -> AsyncGenerator[AsyncConnection, None]:
        """A connection in a transaction that may write."""
        if self.kind != "sqlite":
            async with self._engine.begin() as connection:
                if wait is not None:
                    await connection.execute(text(f"SET LOCAL lock_timeout = {max(1, int(1000 * wait))}"))
                yield connection
            return
        try:
            async with asyncio.timeout(self.busy_seconds if wait is None else wait):
                await self._turn.acquire()
        except TimeoutError:
            raise database_busy() from None
        try:
            async with self._engine.connect() as connection:
                connection = await connection.execution_options(writes=True, wait=wait)
                async with connection.begin():
                    yield connection
        finally:
            self._turn.release()

    def _begin(self, connection: Connection) -> None:
        """SQLite: a transaction that will write takes the lock at once, or within the wait it was given.

        What only reads begins none: each of its statements sees one state of the database by itself.
        """
        how = connection.get_execution_options()
        if not how.get("writes"):
            return
        if (wait := how.get("wait")) is None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql(_patience(wait))
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            finally:
                connection.exec_driver_sql(_patience(self.busy_seconds))

    async def _whole(self, work: Awaitable[T]) -> T:
        """Run to the end whoever stops waiting: a statement that is cut off would keep its lock."""
        task = asyncio.ensure_future(work)
        self._writing.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has seen it; nobody else has to

    async def ping(self, seconds: float) -> None:
        """Raise an `ApiError` unless the database answers within this time."""
        try:
            async with asyncio.timeout(seconds):
                await self.rows(text("SELECT 1"))
        except TimeoutError:
            raise database_away() from None


def _engine(url: str, busy_seconds: float) -> Any:
    """Raises `ConfigError` for what is no URL of a database known here."""
    kind, separator, rest = url.partition("://")
    scheme = kind.partition("+")[0]
    if not separator or scheme not in DRIVERS:
        fits = "sqlite:///FILE or postgresql://USER@HOST/NAME"
        raise ConfigError(f"The database must be {fits}, got {kind[:20]!r}.")
    try:
        parsed = make_url(f"{DRIVERS[scheme] if '+' not in kind else kind}://{rest}")
        if scheme == "sqlite":
            return create_async_engine(parsed, hide_parameters=True)
        patience = {"server_settings": {"lock_timeout": str(int(1000 * busy_seconds))}}
        return create_async_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=patience)
    except (ArgumentError, ValueError, InvalidRequestError, NoSuchModuleError) as error:
        raise ConfigError(
            "The database's URL cannot be read: dialect://USER:PASSWORD@HOST:PORT/NAME."
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{scheme} needs the module {error.name}: pip install 'gpt4video[postgres]'."
        ) from error


@cache
def _written(query: Select[Any]) -> tuple[str, Mapping[str, Any], Sequence[str]]:
    """A query as SQLite's SQL, its own values by their names, and the names of what it finds."""
    compiled = query.compile(dialect=sqlite.dialect(paramstyle="named"))
    return str(compiled), compiled.params, query.selected_columns.keys()


def _patience(seconds: float) -> str:
    """SQLite: how long a connection waits for others."""
    return f"PRAGMA busy_timeout = {int(1000 * seconds)}"


def _migrate(connection: Connection) -> None:
    """Take the missing steps on this connection, inside its transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


class _translated:
    """Errors of the database's as what the client is told."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DBAPIError | NoConnection | OSError | sqlite3.Error):
            told = as_told(error)
            if told is not None:
                raise told from error


def _name(error: BaseException) -> str:
    """SQLite's or PostgreSQL's own name of an error."""
    cause = getattr(error, "orig", None) or error
    return str(getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or "")


def as_told(error: BaseException) -> ApiError | None:
    """What a client is told of this error; None where it is a mistake of ours."""
    for start, telling in TOLD.items():
        if _name(error).startswith(start):
            return telling()
    if isinstance(error, NoConnection):  # all of the pool's are in use
        return database_busy()
    lost = isinstance(error, OSError) or getattr(error, "connection_invalidated", False)
    return database_away() if lost else None


TOLD: dict[str, Callable[[], ApiError]] = {
    "SQLITE_BUSY": database_busy,
    "SQLITE_LOCKED": database_busy,
    "SQLITE_FULL": storage_full,
    "SQLITE_IOERR": database_away,
    "SQLITE_CANTOPEN": database_away,
    "SQLITE_READONLY": database_away,
    "SQLITE_CORRUPT": database_away,
    "SQLITE_NOTADB": database_away,
    "53100": storage_full,
    "55P03": database_busy,
    "40001": database_busy,
    "40P01": database_busy,
    "53": database_away,
    "57": database_away,
    "58": database_away,
    "08": database_away,
    "3D000": database_away,
    "28": database_away,
}
"""SQLite's error names and PostgreSQL's states (whole or their class), the first that fits."""
