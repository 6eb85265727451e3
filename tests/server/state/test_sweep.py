"""What is removed without being asked, and what is left alone."""

from __future__ import annotations

import os
import time

from state_helpers import post

from server.state.records import VideoRecord
from server.state.sweep import Sweeper


def age(path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def test_expired_files_go_with_their_bytes_and_expired_videos_leave_their_record(
    shelf, files_of, videos_of, blobs
):
    await post(files_of, b"old", expires_at=time.time() - 5)
    await post(files_of, b"new", expires_at=time.time() + 500)
    async with blobs.draft() as draft:
        await draft.write(b"video")
        video = VideoRecord("m", "x", 1.0, (64, 64), 8.0, status="completed", expires_at=time.time() - 5)
        await videos_of.put(video, {"video": draft})
    await Sweeper(shelf, orphan_seconds=3600).sweep()
    assert [await blobs.read(key) for key in await blobs.old(0)] == [b"new"]
    assert (await files_of.counts("purpose")) == {"user_data": 1}
    assert (await videos_of.get(video.id, "local")).status == "completed"


async def test_bytes_that_nobody_names_go_when_they_are_old_and_no_others(shelf, files_of, blobs, tmp_path):
    kept = await post(files_of, b"kept")
    for data in (b"orphan", b"young"):
        async with blobs.draft() as draft:
            await draft.write(data)
            await blobs.keep(draft)
    for path in (tmp_path / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() != b"young":
            age(path, 7200)
    dead, alive = (tmp_path / "blobs/incoming" / name for name in ("dead.part", "alive.part"))
    for path in (dead, alive):
        path.write_bytes(b"half")
    age(dead, 7200)
    await Sweeper(shelf, orphan_seconds=3600).sweep()
    assert sorted([await blobs.read(key) for key in await blobs.old(0)]) == [b"kept", b"young"]
    assert alive.exists() and not dead.exists()
    assert await files_of.read(await files_of.asset(kept.id, "anna")) == b"kept"
