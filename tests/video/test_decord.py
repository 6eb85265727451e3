"""Twins: where decord can read a file, it gives the very frames and times that PyAV gives."""

import sys

import files
import numpy as np
import pytest

from gpt4video.errors import InputError, VideoError
from gpt4video.video import Sampling, open_video

CANNOT = {
    *((codec, container) for codec, container in files.ALL_FILES if codec == "av1"),
    ("h265", "avi"),
    ("gif", "gif"),
}
"""What decord 0.6 does not read; its FFmpeg is of 2019."""


@pytest.fixture(autouse=True)
def decord():
    return pytest.importorskip("decord", reason="decord has no package for this machine")


@pytest.mark.parametrize(("codec", "container"), [pair for pair in files.ALL_FILES if pair not in CANNOT])
def test_both_decoders_give_the_same_frames(made, codec, container):
    path = made(codec, container)
    for sampling in (
        Sampling("all"),
        Sampling(num_frames=4),
        Sampling("keyframes"),
        Sampling(start=1.1, num_frames=2),
    ):
        expected = open_video(path, sampling)
        for source in (path, path.read_bytes()):
            clip = open_video(source, sampling, "decord")
            assert clip.times.tolist() == expected.times.tolist()
            assert clip.duration == expected.duration
            # Two generations of FFmpeg convert colours; one step of rounding may differ.
            assert np.abs(clip.frames.astype(int) - expected.frames).max() <= 1


@pytest.mark.parametrize(("codec", "container"), sorted(CANNOT))
def test_what_decord_cannot_read_names_the_decoder_that_can(made, codec, container):
    with pytest.raises(VideoError, match="the pyav decoder"):
        open_video(made(codec, container), decoder="decord")


def test_narrow_and_odd_frames_are_whole(tmp_path):
    for width, height in ((16, 16), (48, 64), (101, 67)):
        path = files.write(tmp_path / f"{width}.mkv", files.counting(4, width, height))
        clip, expected = (open_video(path, decoder=decoder) for decoder in ("decord", "pyav"))
        assert np.abs(clip.frames.astype(int) - expected.frames).max() <= 1


def test_a_recording_held_sideways_stands_upright(mp4):
    for matrix in ((0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)):
        data = files.turned(mp4.read_bytes(), *matrix)
        clip, expected = (open_video(data, decoder=decoder) for decoder in ("decord", "pyav"))
        assert clip.frames.shape == expected.frames.shape
        assert np.abs(clip.frames.astype(int) - expected.frames).max() <= 1


def test_frames_hidden_by_an_edit_list_are_an_error_not_other_frames(mp4, tmp_path):
    files.ffmpeg("-ss", "0.55", "-i", mp4, "-c", "copy", tmp_path / "cut.mp4")
    with pytest.raises(VideoError, match="the pyav decoder can read it"):
        open_video(tmp_path / "cut.mp4", decoder="decord")


def test_frames_are_scaled_down(mp4):
    clip = open_video(mp4, decoder="decord", max_side=32)
    assert clip.frames.shape == (16, 24, 32, 3)
    assert files.numbers(clip.frames) == list(range(16))


def test_without_decord_the_error_says_so(mp4, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)  # Python's word for a module that cannot be had
    with pytest.raises(InputError, match="decord decoder is not installed") as caught:
        open_video(mp4, decoder="decord")
    assert caught.value.param == "decoder"
