"""Posted bytes to clips: a few threads decode, and none of them for somebody who left."""

import asyncio
import threading
import time

import numpy as np
import pytest
from files import write
from web_stand_ins import clip_of, mp4_of

from gpt4video.video import Sampling
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
    clip = (await reader.read(red, SOME)).clip
    assert len(clip.frames) == 8
    assert time.monotonic() - began < whole / 2, "the next one does not wait for those who left"


async def test_a_clip_is_decoded_once(red):
    reader = ClipReader(Settings())
    first, again = await reader.read(red, SOME), await reader.read(mp4_of("red"), SOME)
    assert (first.cached, again.cached) == (False, True)
    assert first.clip is again.clip
    reader.close()
