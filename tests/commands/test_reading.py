"""A video that a command is given is read by a process that can do nothing else, where there are such."""

import contextlib
import os
import platform
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gpt4video.commands.reading import VideoFiles
from gpt4video.errors import InputError, VideoError
from gpt4video.video import Clip, Sampling, encode_mp4, open_video, probe, sandbox

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="only Linux can confine a decoder")
SAMPLING = Sampling(num_frames=2)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "clip.mp4"
    pixels = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), dtype=np.uint8)
    path.write_bytes(encode_mp4(Clip.of(pixels, 8), 8))
    return path


def test_a_video_is_read_elsewhere_and_nothing_is_started_before_the_first(path, tmp_path):
    with VideoFiles() as files:
        with pytest.raises(InputError, match="There is no file"):
            files.probe(tmp_path / "nowhere.mp4")
        assert files.process is None
        assert files.probe(path) == probe(path)
        assert files.open_video(path, SAMPLING).hash == open_video(path, SAMPLING).hash
        worker = files.process
        assert worker is not None
    assert not Path(f"/proc/{worker}").exists()


def test_a_file_that_breaks_the_decoder_breaks_nothing_else(path):
    with VideoFiles() as files:
        files.probe(path)
        children = Path(f"/proc/{files.process}/task/{files.process}/children")
        over = threading.Event()

        def kill_all_readers() -> None:
            while not over.is_set():
                for pid in children.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.001)

        killer = threading.Thread(target=kill_all_readers)
        killer.start()
        with pytest.raises(VideoError, match="broke the decoder"):
            while True:  # until one is hit
                files.open_video(path, SAMPLING)
        over.set()
        killer.join()
        assert len(files.open_video(path, SAMPLING).frames) == 2


def test_where_nothing_can_be_confined_this_process_reads_and_says_so_once(path, monkeypatch, capsys):
    boot = "import platform; platform.machine = lambda: 'riscv64'; " + sandbox.BOOT
    monkeypatch.setattr(sandbox, "BOOT", boot)
    with VideoFiles() as files:
        assert files.probe(path) == probe(path)
        assert len(files.open_video(path, SAMPLING).frames) == 2
        assert files.process is None
    [note] = capsys.readouterr().err.splitlines()
    assert "cannot confine" in note
