"""Servers that are killed, on databases and folders that outlive them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from sqlalchemy import select

from server.state.blobs import Blobs
from server.state.database import Database
from server.state.shelf import Shelf
from server.state.sweep import Sweeper
from server.state.tables import assets, blobs, videos

PATIENCE = 90.0
"""Seconds; these tests wait for facts, and the machine may be busy."""


def until(true: Callable[[], object], what: str = "this") -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"{what} did not come true in time"
        time.sleep(0.05)


@dataclass
class Ground:
    """A data folder, a database and the servers that stand on them."""

    folder: Path
    steering: Path
    database_url: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, name: str = "a", **settings: object) -> Server:
        given = {
            "data_dir": str(self.folder),
            "database_url": self.database_url,
            "steering": str(self.steering),
            "name": name,
            "lease_seconds": 2.0,
            "max_attempts": 10,
            **settings,
        }
        command = [
            sys.executable,
            str(Path(__file__).parent / "faults/stand_in_server.py"),
            json.dumps(given),
        ]
        here = Path(__file__).resolve().parent
        path = os.pathsep.join([str(here.parents[1]), str(here)])  # this checkout, and the stand-ins
        env = {**os.environ, "PYTHONPATH": path}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        self.processes.append(process)
        assert process.stdout is not None
        port = int(process.stdout.readline())
        server = Server(process, httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
        until(server.answers, "the start of the server")
        return server

    def hold(self, what: str) -> None:
        (self.steering / f"hold-{what}").touch()

    def let_go(self, what: str) -> None:
        (self.steering / f"hold-{what}").unlink()

    def drawn_by(self, name: str) -> int:
        path = self.steering / f"drawn-{name}"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def check(self, ids: list[str]) -> dict[str, dict[str, object]]:
        """Every job has one result or one error, all bytes are right, nothing else is there."""
        return asyncio.run(self._check(ids))

    async def _check(self, ids: list[str]) -> dict[str, dict[str, object]]:
        database, store = Database(self.database_url), Blobs(str(self.folder / "blobs"))
        await Sweeper(Shelf(database, store), orphan_seconds=0).sweep()
        rows = {row["id"]: dict(row) for row in await database.rows(select(videos))}
        assert set(rows) == set(ids)
        named = await database.rows(
            select(assets.c.object_id, assets.c.variant, blobs).join_from(assets, blobs)
        )
        for id, row in rows.items():
            variants = sorted(asset["variant"] for asset in named if asset["object_id"] == id)
            assert row["lease"] is None
            if row["status"] == "completed":
                assert (variants, row["error"]) == (["spritesheet", "thumbnail", "video"], None)
            else:
                assert (row["status"], variants) == ("failed", []) and row["error"]["code"]
        for asset in named:
            assert hashlib.sha256(await store.read(asset["key"])).hexdigest() == asset["sha256"]
        assert sorted(await store.old(0)) == sorted({asset["key"] for asset in named})
        await database.close()
        if database.kind == "sqlite":
            with sqlite3.connect(self.folder / "gpt4video.db") as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return rows


@dataclass
class Server:
    process: subprocess.Popen[str]
    http: httpx2.Client

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server has ended"
        with suppress(httpx2.TransportError):
            return self.http.get("/ready").status_code == 200
        return False

    def ask(self, prompt: str = "a red circle") -> str:
        response = self.http.post("/v1/videos", json={"prompt": prompt})
        assert response.status_code == 200, response.text
        return str(response.json()["id"])

    def status(self, id: str) -> str:
        return str(self.http.get(f"/v1/videos/{id}").json().get("status"))

    def finished(self, ids: list[str]) -> bool:
        listed = self.http.get("/v1/videos", params={"limit": 100}).json()["data"]
        ended = {video["id"] for video in listed if video["status"] in ("completed", "failed")}
        return set(ids) <= ended

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
