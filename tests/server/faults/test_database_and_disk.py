"""A database that is locked or gone, a disk that is full: a clear answer, and all is well afterwards."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
import time

import pytest
from fault_ground import until


def test_a_locked_database_is_waited_for_and_then_a_503(ground):
    server = ground.start(database_seconds=2.0)
    first = server.ask()
    with sqlite3.connect(ground.folder / "gpt4video.db", isolation_level=None, timeout=60) as other:
        other.execute("BEGIN IMMEDIATE")
        assert server.http.get("/v1/videos").status_code == 200  # readers do not wait
        began = time.monotonic()
        refused = server.http.post("/v1/videos", json={"prompt": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_busy")
        assert int(refused.headers["retry-after"]) > 0 and time.monotonic() - began >= 1.9
        assert server.http.get("/health").status_code == 200
        other.execute("ROLLBACK")
    second = server.ask()
    until(lambda: server.finished([first, second]), "the end of both jobs")
    ground.check([first, second])


def test_a_request_that_finds_the_database_locked_for_a_moment_is_answered(ground):
    server = ground.start(database_seconds=30.0)
    other = sqlite3.connect(
        ground.folder / "gpt4video.db", isolation_level=None, timeout=60, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(1.0, other.execute, ("ROLLBACK",)).start()
    began = time.monotonic()
    id = server.ask()
    assert time.monotonic() - began >= 0.9
    other.close()
    until(lambda: server.finished([id]), "the end of the job")


def refused_for_want_of_room(response) -> bool:
    if response.status_code == 200:
        return False
    assert (response.status_code, response.json()["error"]["code"]) == (507, "storage_full"), response.text
    assert response.headers["x-should-retry"] == "false"
    return True


@pytest.mark.parametrize("size", [1_040_000, 3_000_000])  # under and over what is kept in memory
def test_a_file_that_does_not_fit_is_a_507_and_nothing_is_kept(ground, size):
    """The disk is stood in for by the largest file that the process may write (RLIMIT_FSIZE)."""
    server = ground.start(largest_file=1_000_000)
    kept = server.ask()
    until(lambda: server.finished([kept]), "the end of the job")
    upload = {"file": ("x.mp4", os.urandom(size))}
    assert refused_for_want_of_room(server.http.post("/v1/files", files=upload))
    assert server.http.get("/v1/files").json()["data"] == []
    assert list((ground.folder / "blobs/incoming").iterdir()) == []
    again = server.ask()
    until(lambda: server.finished([again]), "the end of the next job")
    ground.check([kept, again])


@pytest.fixture
def small_disk(ground):
    ground.folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(ground.folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield ground.folder
    for process in ground.processes:
        process.kill()
        process.wait()
    subprocess.run(["umount", "--lazy", str(ground.folder)], check=True)


def test_a_full_disk_is_a_507_and_leaves_the_database_sound(ground, small_disk):
    server = ground.start()
    ids = [server.ask()]
    until(lambda: server.finished(ids), "the end of the job")
    assert refused_for_want_of_room(server.http.post("/v1/files", files={"file": os.urandom(3_000_000)}))
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    for i in range(100):  # the database has a little room of its own
        response = server.http.post("/v1/videos", json={"prompt": f"{i} " + "long " * 5000})
        if refused_for_want_of_room(response):
            break
        ids.append(response.json()["id"])
    else:
        pytest.fail("a full disk was never noticed")
    assert server.http.get("/v1/videos").status_code == 200
    ballast.unlink()
    ids.append(server.ask())
    until(lambda: server.finished(ids), "the end of all jobs")
    rows = ground.check(ids)
    assert rows[ids[-1]]["status"] == "completed"
    assert {row["error"]["code"] for row in rows.values() if row["error"]} <= {"storage_full"}


def test_health_tells_within_five_seconds_that_the_database_is_gone(ground, request):
    url, stop = request.getfixturevalue("mortal_postgres")
    ground.database_url = url
    server = ground.start()
    assert server.http.get("/health").status_code == 200
    stop()
    began = time.monotonic()
    sick = server.http.get("/health")
    assert (sick.status_code, sick.json()["error"]["code"]) == (503, "engine_unavailable")
    assert time.monotonic() - began < 5
    refused = server.http.post("/v1/videos", json={"prompt": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_unavailable")
