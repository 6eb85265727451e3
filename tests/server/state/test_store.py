"""Records and bytes: whose they are, that they come and go together, and that equal bytes are kept once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from state_helpers import post

from server.errors import ApiError
from server.state.records import VideoRecord


def on_disk(tmp_path: Path) -> list[bytes]:
    return [path.read_bytes() for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def refusal(work) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value.status_code, caught.value.body["error"]["code"]


async def test_what_was_put_is_found_as_it_was(files_of, videos_of):
    file = await post(files_of, b"abc", video={"width": 64, "duration": 1.5})
    assert await files_of.get(file.id, "anna") == file
    assert await files_of.read(await files_of.asset(file.id, "anna")) == b"abc"
    video = VideoRecord("m", "a \0 star", 1.0, (64, 48), 8.0, error={"code": "x"}, seed=2**63 - 1)
    await videos_of.put(video)
    assert await videos_of.get(video.id, "local") == replace(video, prompt="a � star")


async def test_a_stranger_is_told_that_there_is_no_such_thing(files_of):
    file = await post(files_of, b"abc")
    assert await refusal(files_of.get(file.id, "bob")) == (404, "file_not_found")
    assert await refusal(files_of.asset(file.id, "bob")) == (404, "file_not_found")
    assert await refusal(files_of.delete(file.id, "bob")) == (404, "file_not_found")
    assert await refusal(files_of.page("bob", file.id, 5, "asc")) == (400, "invalid_value")
    assert (await files_of.page("bob", None, 5, "asc")).records == []
    assert await files_of.read(await files_of.asset(file.id, "anna")) == b"abc"


async def test_equal_bytes_are_kept_once_and_go_with_the_last_record(files_of, tmp_path):
    one, two = await post(files_of, b"same"), await post(files_of, b"same", owner="bob")
    other = await post(files_of, b"other")
    assert sorted(on_disk(tmp_path)) == [b"other", b"same"]
    await files_of.delete(one.id, "anna")
    assert await files_of.read(await files_of.asset(two.id, "bob")) == b"same"
    await files_of.delete(two.id, "bob")
    assert on_disk(tmp_path) == [b"other"]
    await files_of.delete(other.id, "anna")
    assert on_disk(tmp_path) == []


async def test_posting_and_deleting_the_same_bytes_at_once_never_loses_them(files_of, tmp_path):
    async def come_and_go() -> None:
        for _ in range(5):
            file = await post(files_of, b"same")
            assert await files_of.read(await files_of.asset(file.id, "anna")) == b"same"
            await files_of.delete(file.id, "anna")

    kept = [come_and_go() for _ in range(4)]
    await asyncio.gather(*kept)
    assert on_disk(tmp_path) == []


async def test_what_expired_is_gone_or_is_said_to_have_expired(files_of, videos_of):
    file = await post(files_of, b"abc", expires_at=time.time() - 1)
    assert await refusal(files_of.get(file.id, "anna")) == (404, "file_not_found")
    video = VideoRecord("m", "x", 1.0, (64, 48), 8.0, status="completed", expires_at=time.time() - 1)
    await videos_of.put(video)
    assert (await videos_of.get(video.id, "local")).expires_at
    assert await refusal(videos_of.asset(video.id, "local")) == (410, "video_expired")


async def test_pages_go_through_equal_times_without_loss(files_of):
    made = [await post(files_of, bytes([i]), created_at=float(i // 3)) for i in range(8)]
    expected = sorted(made, key=lambda file: (file.created_at, file.id))
    for order, whole in (("asc", expected), ("desc", expected[::-1])):
        seen, after, more = [], None, True
        while more:
            page = await files_of.page("anna", after, 3, order)
            seen, more = [*seen, *page.records], page.has_more
            after = seen[-1].id
        assert seen == whole


async def test_a_draft_that_is_not_kept_leaves_nothing(files_of, tmp_path):
    with pytest.raises(RuntimeError):
        async with files_of._shelf.blobs.draft() as draft:
            await draft.write(b"abc")
            raise RuntimeError
    file = await post(files_of, b"abc")
    assert await files_of.find(file.id, "anna") == file
    with pytest.raises(Exception, match=r"UNIQUE|duplicate"):
        async with files_of._shelf.blobs.draft() as draft:
            await draft.write(b"more")
            await files_of.put(file, {"content": draft})
    assert on_disk(tmp_path) == [b"abc"]
