"""Posted bytes to clips: a few are decoded at a time, and none for somebody who left."""

import asyncio
import threading
import time

import numpy as np
import pytest
from files import write
from web_stand_ins import clip_of, mp4_of

from gpt4video.errors import Busy, VideoError
from gpt4video.video import Sampling, sandbox
from server import cli
from server.media import ClipReader
from server.settings import Settings

SOME = Sampling(num_frames=64)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[bytes]:
    """A long video without a second key frame, and the same with something at its end: other ones."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    frames = np.tile(clip_of("red", side=96).frames, (250, 1, 1, 1))
    long = write(path, frames, g="2000", pix_fmt="yuv420p").read_bytes()
    return [long + b"\0\0\0\x08free" * number for number in range(4)]


@pytest.fixture
def reader():
    reader = ClipReader(Settings(decode_threads=1, clip_cache_bytes=0))
    yield reader
    reader.close()


async def test_who_leaves_stops_the_decoding_and_never_are_there_more_threads(reader, videos, red):
    began = time.monotonic()
    await reader.read(videos[0], SOME)
    whole = time.monotonic() - began
    leaving = [asyncio.create_task(reader.read(video, SOME)) for video in videos]
    await asyncio.sleep(whole / 10)
    assert sum(thread.name.startswith("decode") for thread in threading.enumerate()) == 1
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    began = time.monotonic()
    looked = await reader.read(red, SOME)
    assert len(looked.clip.frames) == 8
    assert time.monotonic() - began < whole / 2, "the next one does not wait for those who left"


async def test_a_clip_is_decoded_once(red):
    reader = ClipReader(Settings())
    first, second = await reader.read(red, SOME), await reader.read(mp4_of("red"), SOME)
    assert first.clip is second.clip
    assert (first.cached, second.cached) == (False, True)
    reader.close()


async def test_more_than_may_wait_are_told_to_come_back(videos):
    reader = ClipReader(Settings(decode_threads=1, max_queued_decodes=1, clip_cache_bytes=0))
    waiting = [asyncio.create_task(reader.read(video, SOME)) for video in videos[:2]]
    await asyncio.sleep(0.2)
    with pytest.raises(Busy) as caught:
        await reader.read(videos[2], SOME)
    assert (caught.value.code, caught.value.retry_after) == ("queue_full", 2.0)
    await asyncio.gather(*waiting)
    await reader.read(videos[2], SOME)
    reader.close()


async def test_a_file_that_breaks_the_decoder_twice_is_not_tried_again(red):
    reader = ClipReader(Settings(decode_cpu_seconds=0))
    for message in ("broke the decoder:", "broke the decoder:", "not tried again"):
        with pytest.raises(VideoError, match=message) as caught:
            await reader.read(red, SOME)
        assert caught.value.code == "invalid_video"
    reader.close()


def test_serve_refuses_a_system_that_cannot_confine_a_decoder_and_says_how_to_go_on(monkeypatch, capsys):
    """As on a machine of another kind, for which there is no filter."""
    boot = "import platform; platform.machine = lambda: 'riscv64'; " + sandbox.BOOT
    monkeypatch.setattr(sandbox, "BOOT", boot)
    assert cli.main(["serve", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "seccomp" in said and "unconfined_decoding" in said
    assert len(said.strip().splitlines()) == 1
