"""Posted bytes to clips: a few are decoded at a time, and none for somebody who left."""

import asyncio
import io
import signal
import subprocess
import sys
import threading
import time

import httpx2
import numpy as np
import pytest
from files import write
from PIL import Image
from web_stand_ins import clip_of, mp4_of

from gpt4video.checkpoint import EMBEDDED
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
    told = await asyncio.gather(*(reader.read(video, SOME) for video in videos[:3]), return_exceptions=True)
    [error] = [one for one in told if isinstance(one, Exception)]
    assert isinstance(error, Busy) and (error.code, error.retry_after) == ("queue_full", 2.0)
    await reader.read(videos[2], SOME)
    reader.close()


async def test_a_file_that_breaks_the_decoder_twice_is_not_tried_again(videos):
    reader = ClipReader(Settings(decode_cpu_seconds=0))
    for message in ("broke the decoder:", "broke the decoder:", "not tried again"):
        with pytest.raises(VideoError, match=message) as caught:
            await reader.read(videos[0], SOME)  # long: the time is looked at by the tick
        assert caught.value.code == "invalid_video"
    reader.close()


async def test_the_other_decoder_sees_the_same_and_a_picture_is_not_its_matter(red):
    pytest.importorskip("decord")
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 40, 40)).save(picture, "PNG")
    readers = [ClipReader(Settings(decoder=decoder)) for decoder in ("pyav", "decord")]
    try:
        for data in (red, picture.getvalue()):
            one, other = [(await reader.read(data, SOME)).clip for reader in readers]
            assert one.times.tolist() == other.times.tolist()
            assert np.abs(one.frames.astype(int) - other.frames).mean() < 3
    finally:
        for reader in readers:
            reader.close()


def test_serve_says_what_is_not_installed(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "decord", None)
    assert cli.main(["serve", "--port", "0", "--decoder", "decord"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "decord decoder is not installed" in line


def test_serve_refuses_a_system_that_cannot_confine_a_decoder_and_says_how_to_go_on(monkeypatch, capsys):
    """As on a machine of another kind, for which there is no filter."""
    boot = "import platform; platform.machine = lambda: 'riscv64'; " + sandbox.BOOT
    monkeypatch.setattr(sandbox, "BOOT", boot)
    assert cli.main(["serve", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "seccomp" in said and "--unconfined-decoding" in said and "unconfined_decoding" in said
    assert len(said.strip().splitlines()) == 1


def test_serve_goes_on_there_if_told_and_says_what_is_missing(tmp_path):
    # A description without its folders: the model cannot load, files are posted all the same.
    (tmp_path / "assistant.yaml").write_bytes((EMBEDDED / "assistant.yaml").read_bytes())
    code = (
        "import sys; from gpt4video.video import sandbox; from server import cli; "
        "sandbox.BOOT = \"import platform; platform.machine = lambda: 'riscv64'; \" + sandbox.BOOT; "
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    words = ["serve", "--port", "0", "--config", str(tmp_path), "--unconfined-decoding"]
    process = subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True)
    try:
        warning, greeting = process.stderr.readline(), process.stderr.readline()
        assert "Posted files are decoded unconfined: seccomp cannot be had here." in warning
        upload = {"file": ("a.mp4", mp4_of("red"), "video/mp4")}
        url = greeting.split()[3]
        posted = httpx2.post(f"{url}/v1/files", data={"purpose": "vision"}, files=upload, timeout=60)
        assert posted.json()["video"]["codec"] == "h264"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
