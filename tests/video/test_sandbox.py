"""A stranger's file is read by a process that can do nothing else, and whatever becomes of it is an error."""

import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import files
import hostile
import numpy as np
import pytest
from PIL import Image

from gpt4video.errors import ConfigError, InputError, VideoError
from gpt4video.video import Left, Limits, Sampling, open_video, probe
from gpt4video.video.sandbox import BOOT, Broke, Budget, Sandbox

EVERY = Sampling("all", num_frames=400)

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="only Linux can confine a decoder")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(decoders=("pyav", "decord")) as sandbox:
        sandbox.start()
        yield sandbox


@pytest.fixture(scope="module")
def long(folder) -> bytes:
    """A video that takes a while: one key frame, and everything after it has to be decoded."""
    frames = np.tile(files.counting(16, 128, 96), (100, 1, 1, 1))
    return files.write(folder / "one-key.mp4", frames, g="2000", pix_fmt="yuv420p").read_bytes()


def children(sandbox) -> list[int]:
    """The processes that read a file at the moment."""
    told = Path(f"/proc/{sandbox.process}/task/{sandbox.process}/children").read_text()
    return [int(pid) for pid in told.split()]


def first_child(sandbox) -> int:
    end = time.monotonic() + 30
    while not (found := children(sandbox)):
        assert time.monotonic() < end, "no file is read"
        time.sleep(0.002)
    return found[0]


def test_every_door_is_shut_and_that_is_tried_out(sandbox):
    held = sandbox.start()
    assert held["seccomp"] and held["no_new_privs"] and held["limits"]


@pytest.mark.parametrize(("codec", "container"), files.ALL_FILES)
def test_every_kind_of_file_gives_the_same_frames_as_outside(sandbox, made, codec, container):
    path = made(codec, container)
    for source in (path, path.read_bytes()):
        assert sandbox.open_video(source, EVERY).hash == open_video(source, EVERY).hash
    assert sandbox.probe(path) == probe(path)


def test_sound_subtitles_and_attachments_beside_the_video_do_not_matter(sandbox, mp4, tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    (tmp_path / "note.txt").write_text("attached")
    files.ffmpeg(
        *("-f", "lavfi", "-i", "sine=d=1", "-i", mp4, "-i", tmp_path / "words.srt"),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", "-attach", tmp_path / "note.txt"),
        *("-metadata:s:t", "mimetype=text/plain", tmp_path / "all.mkv"),
    )
    assert files.numbers(sandbox.open_video(tmp_path / "all.mkv", EVERY).frames) == list(range(16))


def test_decord_reads_in_the_same_box_under_the_same_limits(sandbox, mp4):
    pytest.importorskip("decord")
    assert files.numbers(sandbox.open_video(mp4, EVERY, "decord").frames) == list(range(16))
    strict = Sandbox(Limits(max_frames=10), decoders=("pyav", "decord"))
    with strict, pytest.raises(VideoError) as caught:
        strict.open_video(mp4, EVERY, "decord")
    assert caught.value.code == "video_too_long"


def test_a_decoder_that_is_not_kept_ready_is_named(mp4):
    with Sandbox() as sandbox, pytest.raises(InputError, match="decord"):
        sandbox.open_video(mp4, EVERY, "decord")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_read_in_the_same_box(sandbox, kind):
    file = io.BytesIO()
    Image.new("RGB", (64, 32), (200, 40, 40)).save(file, kind)
    clip = sandbox.open_picture(file.getvalue(), max_side=32)
    assert clip.frames.shape == (1, 16, 32, 3)
    assert np.abs(clip.frames.astype(int) - (200, 40, 40)).max() < 8
    with pytest.raises(VideoError, match="cut short"):
        sandbox.open_picture(file.getvalue()[:30])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_that_moves_gives_its_frames_at_their_times(sandbox, kind):
    data = hostile.moving(kind, files.counting(16))
    clip = sandbox.open_picture(data, Sampling(num_frames=4))
    assert files.numbers(clip.frames) == [2, 6, 10, 14]
    assert clip.times == pytest.approx([0.25, 0.75, 1.25, 1.75])
    assert clip.duration == pytest.approx(2.0)
    whole = sandbox.open_picture(data, Sampling("all", num_frames=20))
    assert files.numbers(whole.frames) == list(range(16))
    assert files.numbers(sandbox.open_picture(data).frames)


def test_errors_are_the_same_as_outside(sandbox, mp4):
    data = mp4.read_bytes()
    for source, sampling in (
        (data[: len(data) // 2], EVERY),
        (data, Sampling(start=99.0)),
        (b"GIF89a", EVERY),
    ):
        with pytest.raises(InputError) as outside:
            open_video(source, sampling)
        with pytest.raises(InputError) as inside:
            sandbox.open_video(source, sampling)
        for fact in ("message", "code", "param"):
            assert getattr(inside.value, fact) == getattr(outside.value, fact)


def test_a_decoder_that_is_killed_is_a_bad_file_and_the_next_is_read_as_before(sandbox, long, mp4):
    threading.Timer(0, lambda: os.kill(first_child(sandbox), signal.SIGKILL)).start()
    with pytest.raises(Broke, match="broke the decoder") as caught:
        sandbox.open_video(long, EVERY)
    assert caught.value.code == "invalid_video"
    assert files.numbers(sandbox.open_video(mp4, EVERY).frames) == list(range(16))


def test_a_decoder_that_hangs_is_killed_when_its_time_is_over(long, mp4):
    with Sandbox(budget=Budget(seconds=3)) as sandbox:
        sandbox.start()
        threading.Timer(0, lambda: os.kill(first_child(sandbox), signal.SIGSTOP)).start()
        with pytest.raises(Broke, match="within 3 s") as caught:
            sandbox.open_video(long, EVERY)
        assert caught.value.code == "invalid_video"
        assert children(sandbox) == []


def test_when_all_of_it_hangs_or_dies_another_one_is_begun(long, mp4):
    for blow in (signal.SIGSTOP, signal.SIGKILL):
        with Sandbox(budget=Budget(seconds=2)) as sandbox:
            sandbox.start()
            first = sandbox.process
            os.kill(first, blow)
            # A dead one may have been seen and replaced before it is asked; one that hangs cannot be.
            with pytest.raises(Broke) if blow == signal.SIGSTOP else suppress(Broke):
                sandbox.open_video(long, EVERY)
            while sandbox.process == first:  # the second may still find the first one dying
                try:
                    assert files.numbers(sandbox.open_video(mp4, Sampling(num_frames=1)).frames)
                except Broke:
                    continue


def test_who_leaves_stops_the_decoding(sandbox, long):
    gone = threading.Event()
    threading.Timer(0, lambda: (first_child(sandbox), gone.set())).start()
    with pytest.raises(Left):
        sandbox.open_video(long, EVERY, has_left=gone.is_set)
    assert children(sandbox) == []


def test_what_takes_more_than_its_budget_is_an_error(long):
    with Sandbox(budget=Budget(memory=2**22)) as sandbox, pytest.raises(VideoError) as caught:
        sandbox.open_video(long, EVERY)
    assert caught.value.code in {"video_too_large", "invalid_video"}
    with Sandbox(budget=Budget(cpu_seconds=0)) as sandbox, pytest.raises(Broke):
        sandbox.open_video(long, EVERY)


def test_many_threads_share_a_worker(sandbox, mp4):
    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(sandbox.open_video(mp4, EVERY).hash)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1


def test_nothing_is_left_open_after_many_files(sandbox, mp4):
    sandbox.open_video(mp4, EVERY)

    def open_files() -> tuple[int, int]:
        return tuple(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (os.getpid(), sandbox.process))

    before = open_files()
    for _ in range(10):
        sandbox.open_video(mp4, Sampling(num_frames=1))
    assert open_files() == before


def test_closing_ends_every_process(mp4):
    sandbox = Sandbox()
    sandbox.open_video(mp4, EVERY)
    worker = sandbox.process
    sandbox.close()
    assert not Path(f"/proc/{worker}").exists()
    with pytest.raises(Left):
        sandbox.open_video(mp4, EVERY)


def test_a_system_that_cannot_confine_is_told_of_and_not_used(monkeypatch, mp4):
    """Where a filter cannot be had (as on a machine of another kind), only who says so decodes."""
    boot = "import platform; platform.machine = lambda: 'riscv64'; " + BOOT
    monkeypatch.setattr("gpt4video.video.sandbox.BOOT", boot)
    with Sandbox() as sandbox:
        for attempt in (sandbox.start, lambda: sandbox.open_video(mp4, EVERY)):
            with pytest.raises(ConfigError, match="seccomp"):
                attempt()
    with Sandbox(unconfined=True) as sandbox:
        assert not sandbox.start()["seccomp"]
        assert files.numbers(sandbox.open_video(mp4, EVERY).frames) == list(range(16))


AS_NOBODY = """
import os, sys
from gpt4video.video import Sampling
from gpt4video.video.sandbox import Sandbox
with Sandbox() as sandbox:
    held = sandbox.start()
    clip = sandbox.open_video(sys.stdin.buffer.read(), Sampling(num_frames=4))
    assert held["seccomp"] and held["no_new_privs"] and held["unprivileged"], held
    print(os.getuid(), len(clip.frames))
"""
# Somebody without rights, but for reading this installation, wherever it lies.
BECOME_NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=+dac_override", "--bounding-set=-all,+dac_override"),
)


@pytest.mark.skipif(
    os.getuid() != 0, reason="only root can become somebody else; all else here ran as a user"
)
def test_an_ordinary_user_is_confined_as_root_is(mp4):
    if shutil.which("setpriv") is None:
        pytest.skip("the setpriv command is not installed")
    command = [*BECOME_NOBODY, sys.executable, "-c", AS_NOBODY]
    done = subprocess.run(command, input=mp4.read_bytes(), capture_output=True)
    assert done.stdout.split() == [b"65534", b"4"], done.stderr.decode()
