"""Files made once for all tests of this room."""

from pathlib import Path

import files
import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files shared by tests lie."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def needs_ffmpeg() -> None:
    """Skips where the ffmpeg command is missing."""
    if not files.ffmpeg_available():
        pytest.skip("the ffmpeg command is not installed")


@pytest.fixture(scope="session")
def master(folder: Path) -> Path:
    """16 counting frames at 8 frames a second, 64x48, without loss."""
    return files.write(folder / "master.mkv", files.counting(16), codec="ffv1", pix_fmt="bgr0")


@pytest.fixture(scope="session")
def made(master: Path, folder: Path, needs_ffmpeg: None):
    """`made(codec, container)`: the master in one of `files.CODECS_IN_CONTAINERS`, made when first asked."""
    known: dict[tuple[str, str], Path] = {}

    def make(codec: str, container: str) -> Path:
        if (codec, container) not in known:
            known[codec, container] = files.transcode_to(master, folder, codec, container)
        return known[codec, container]

    return make


@pytest.fixture(scope="session")
def mp4(made) -> Path:
    """The master as H.264 with B-frames and a key frame every second, in mp4."""
    return made("h264", "mp4")
