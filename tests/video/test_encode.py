import hashlib
import io
import os
import subprocess
import sys

import av
import files
import numpy as np
import pytest
from PIL import Image

from gpt4video.errors import InputError
from gpt4video.video import Clip, Sampling, encode_jpeg, encode_mp4, open_video, probe

COLOURS = [
    (220, 30, 30),
    (30, 160, 60),
    (30, 70, 220),
    (240, 220, 30),
    (0, 0, 0),
    (255, 255, 255),
    (150, 60, 190),
]


def flat_shapes(size: int = 64) -> np.ndarray:
    """(8, size, size, 3): a bar of each colour, moving right by a pixel a frame over light grey."""
    frames = np.full((8, size, size, 3), (200, 205, 210), np.uint8)
    for i, colour in enumerate(COLOURS):
        for t in range(8):
            frames[t, i * 9 : i * 9 + 7, 5 + t : 25 + t] = colour
    return frames


@pytest.mark.parametrize("enlarge", [2, 3, 4])
def test_colours_of_flat_shapes_survive_at_their_pixels(enlarge):
    frames = flat_shapes()
    back = open_video(encode_mp4(frames, 8, enlarge=enlarge)).frames
    assert back.shape == (8, 64 * enlarge, 64 * enlarge, 3)
    middles = back[:, enlarge // 2 :: enlarge, enlarge // 2 :: enlarge]
    error = np.abs(middles.astype(int) - frames)
    assert np.median(error) <= 2
    if enlarge % 2 == 0:  # every pixel has its own block of colour
        assert error.max() <= 12
    for i, colour in enumerate(COLOURS):
        assert np.abs(middles[3, i * 9 + 3, 18].astype(int) - colour).max() <= 4


def test_frames_come_back_in_order_at_their_times():
    clip = open_video(encode_mp4(files.counting(16), 8), Sampling("all"))
    assert files.numbers(clip.frames) == list(range(16))
    assert clip.times.tolist() == (np.arange(16) / 8).tolist()
    assert clip.duration == 2.0
    assert probe(encode_mp4(files.counting(16), 29.97)).fps == pytest.approx(29.97, abs=0.001)


def test_a_clip_a_list_and_an_array_are_written_alike():
    frames = files.counting(3)
    assert encode_mp4(Clip.of(frames, 8), 8) == encode_mp4(list(frames), 8) == encode_mp4(frames, 8)


def test_equal_input_gives_equal_bytes():
    frames = flat_shapes()
    assert encode_mp4(frames, 8, enlarge=4) == encode_mp4(frames.copy(), 8, enlarge=4)


def digest_of_noise_that_moves() -> str:
    """Of the mp4 of 8 frames, 272x272: rows of 17 blocks, where code for 8 at a time has 7 to make up."""
    noise = np.random.default_rng(0).integers(0, 256, (72, 72, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    frames = np.stack([noise[2 * t :, 2 * t :][:272, :272] for t in range(8)])
    return hashlib.sha256(encode_mp4(frames, 8)).hexdigest()


def test_what_lay_in_memory_before_leaves_no_mark_on_the_bytes():
    # glibc fills new memory as it is told; elsewhere, or without AVX-512, this only repeats the test above.
    program = f"import {__name__} as test; print(test.digest_of_noise_that_moves())"
    digests = {
        subprocess.check_output(
            [sys.executable, "-c", program],
            env={**os.environ, "MALLOC_PERTURB_": fill, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for fill in ("0", "1", "2")
    }
    assert len(digests) == 1


def test_browsers_can_play_it_from_the_first_bytes():
    data = encode_mp4(flat_shapes(), 8)
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(io.BytesIO(data)) as file:
        (stream,) = file.streams
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.start_time) == ("h264", "yuv420p", 0)
        frame = next(file.decode(stream))
        assert (frame.colorspace, frame.color_range) == (1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)


def test_odd_sizes_are_padded_not_resampled():
    frames = files.counting(2, 51, 37)
    back = open_video(encode_mp4(frames, 8)).frames
    assert back.shape == (2, 38, 52, 3)
    assert files.numbers(back[:, :37, :51]) == [0, 1]
    assert np.abs(back[:, -1].astype(int) - back[:, -2]).max() <= 6
    assert open_video(encode_mp4(frames, 8, enlarge=2)).frames.shape == (2, 74, 102, 3)
    assert open_video(encode_mp4(frames[:1, :1, :1], 8, enlarge=16)).frames.shape == (1, 16, 16, 3)


@pytest.mark.parametrize(
    ("frames", "kwargs"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), {}),
        (np.zeros((8, 8, 3), np.uint8), {}),
        (np.zeros((2, 8, 8, 3), np.float32), {}),
        (np.zeros((2, 8, 8, 3), np.uint8), {"enlarge": 0}),
        (np.zeros((2, 8, 8, 3), np.uint8), {"fps": 0}),
    ],
)
def test_what_cannot_be_written_is_said(frames, kwargs):
    with pytest.raises(InputError, match="must be"):
        encode_mp4(frames, **{"fps": 8, **kwargs})


def test_a_preview_is_a_small_jpeg():
    frame = flat_shapes()[0]
    image = Image.open(io.BytesIO(encode_jpeg(frame, max_side=32)))
    assert (image.format, image.size) == ("JPEG", (32, 32))
    image = Image.open(io.BytesIO(encode_jpeg(frame, quality=95)))
    assert image.size == (64, 64)
    assert np.abs(np.asarray(image).astype(int)[30:33, 10:20] - frame[30:33, 10:20]).max() <= 8
    with pytest.raises(InputError, match="must be"):
        encode_jpeg(flat_shapes())
