"""A PostgreSQL server of our own, where its programs are: new, in a temporary folder, on a free port.

`initdb` refuses to run as root, so there it runs as an ordinary user without a name.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

NOBODY = 65534
MISSING = "there is no PostgreSQL here (Debian: apt install postgresql)"


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`, of the newest version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return folders[-1] if folders else Path(found).resolve().parent if found else None


@contextmanager
def server(bin: Path) -> Iterator[str]:
    """A running server; its URL without the name of a database."""
    as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        if as_user:
            os.chown(folder, NOBODY, NOBODY)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"

        def run(*command: str) -> None:
            subprocess.run(
                command, check=True, cwd=folder, env={"LC_ALL": "C"}, timeout=120, **QUIET, **as_user
            )

        data, control = f"{folder}/data", f"{bin}/pg_ctl"
        run(f"{bin}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        run(control, "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            run(control, "-D", data, "-m", "immediate", "-w", "stop")


def emptied(server: str) -> str:
    """The URL of a database in which nothing is, whatever earlier tests and their servers have left there.

    (A new database each time would be cleaner, and costs 7 MB and a thousand files.)
    """
    url = f"{server}/postgres"

    async def empty() -> None:
        connection = await asyncpg.connect(url)
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        await connection.execute(f"SELECT pg_terminate_backend(pid) {others}")
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await connection.close()

    asyncio.run(empty())
    return url


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
