"""The right pixels come back at the right times, from every codec in every container that can hold it."""

import contextlib
import itertools
import subprocess
import sys
from fractions import Fraction

import files
import numpy as np
import pytest
from PIL import Image

from gpt4video.errors import InputError, VideoError
from gpt4video.video import Left, Limits, Sampling, open_video, probe
from gpt4video.video.pyav import PyAVReader
from gpt4video.video.timeline import choose

EVERY = Sampling("all", num_frames=2000)


@pytest.mark.parametrize(("codec", "container"), files.ALL_FILES)
def test_every_codec_in_every_container_gives_the_right_frame_at_the_right_time(made, codec, container):
    path = made(codec, container)
    tolerance = 0.006 if container == "gif" else 0.0011  # GIF counts hundredths of a second
    whole = open_video(path, EVERY)
    assert files.numbers(whole.frames) == list(range(16))
    assert whole.times == pytest.approx(np.arange(16) / 8, abs=tolerance)
    assert whole.duration == pytest.approx(2.0, abs=0.011)
    some = open_video(path, Sampling(num_frames=4))
    assert files.numbers(some.frames) == [2, 6, 10, 14]
    assert some.times == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=tolerance)
    late = open_video(path, Sampling("all", num_frames=2, start=1.51))
    assert files.numbers(late.frames) == [12, 13]
    assert open_video(path.read_bytes(), EVERY).hash == whole.hash


@pytest.mark.parametrize(("codec", "container"), files.ALL_FILES)
def test_probe_tells_what_the_file_holds(made, codec, container):
    info = probe(made(codec, container))
    assert (info.width, info.height, info.num_frames) == (64, 48, 16)
    assert info.duration == pytest.approx(2.0, abs=0.011)
    assert info.fps == pytest.approx(8.0, abs=0.05)
    assert info.codec == {"h265": "hevc"}.get(codec, codec)
    assert info.container == {"mov": "mp4", "webm": "mkv"}.get(container, container)


@pytest.mark.parametrize("suffix", ["ts", "m2ts", "mpg", "flv", "ogv", "m4v", "3gp"])
def test_other_containers_of_the_allow_list_are_read(master, folder, needs_ffmpeg, suffix):
    args = {
        "mpg": ("-c:v", "mpeg2video", "-bf", "2", "-r", "24"),
        "ogv": ("-c:v", "libtheora", "-pix_fmt", "yuv420p", "-q:v", "9"),
    }.get(suffix, files.ENCODERS["h264"])
    clip = open_video(files.transcode(master, folder / f"other.{suffix}", *args), Sampling(num_frames=8))
    assert files.numbers(clip.frames) == [1, 3, 5, 7, 9, 11, 13, 15]
    assert clip.times == pytest.approx(np.arange(8) / 4 + 0.125, abs=0.041)


@pytest.mark.parametrize(("width", "height"), [(101, 67), (33, 64), (16, 16), (9, 5)])
@pytest.mark.parametrize("pix_fmt", ["yuv444p", "bgr0"])
def test_odd_sizes_keep_every_pixel(tmp_path, width, height, pix_fmt):
    frames = files.counting(4, width, height)
    codec = "ffv1" if pix_fmt == "bgr0" else "libx264"
    clip = open_video(files.write(tmp_path / "odd.mkv", frames, codec=codec, pix_fmt=pix_fmt), EVERY)
    assert clip.frames.shape == frames.shape
    assert np.abs(clip.frames.astype(int) - frames).mean() < 2


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_with_a_variable_frame_rate_uniform_means_uniform_in_time(tmp_path, suffix):
    # Hundredths of a second: 11 frames in a rush, then one each second.
    ticks = [*range(0, 110, 10), 200, 300, 400, 500]
    path = files.write(tmp_path / f"vfr.{suffix}", files.counting(15), ticks, tick=Fraction(1, 100))
    whole = open_video(path, EVERY)
    assert whole.times == pytest.approx(np.array(ticks) / 100)
    assert files.numbers(whole.frames) == list(range(15))
    clip = open_video(path, Sampling("uniform", num_frames=4, end=4.0))
    assert clip.times == pytest.approx([0.5, 1.0, 2.0, 3.0])
    assert files.numbers(clip.frames) == [5, 10, 11, 12]


CLOCKWISE = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_recording_held_sideways_stands_upright(master, folder, needs_ffmpeg, degrees):
    turn = {90: "transpose=cclock", 180: "hflip,vflip", 270: "transpose=clock"}[degrees]
    lying = files.transcode(master, folder / f"lying{degrees}.mp4", "-vf", turn, *files.ENCODERS["h264"])
    path = folder / f"turned{degrees}.mp4"
    path.write_bytes(files.turned(lying.read_bytes(), *CLOCKWISE[degrees]))
    clip = open_video(path, EVERY)
    assert clip.frames.shape == (16, 48, 64, 3)
    assert files.numbers(clip.frames) == list(range(16))
    assert (probe(path).width, probe(path).height) == (64, 48)
    assert open_video(path, EVERY, max_side=32).frames.shape == (16, 24, 32, 3)


def test_a_mirrored_recording_is_mirrored_back(master, folder, needs_ffmpeg):
    mirrored = files.transcode(master, folder / "mirrored.mp4", "-vf", "hflip", *files.ENCODERS["h264"])
    clip = open_video(files.turned(mirrored.read_bytes(), -1, 0, 0, 1), EVERY)
    assert files.numbers(clip.frames) == list(range(16))


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    path = files.write(tmp_path / "wide.mkv", files.counting(3), aspect=Fraction(3, 2))
    clip = open_video(path)
    assert clip.frames.shape == (3, 48, 96, 3)
    assert files.numbers(clip.frames) == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm", "gif"])
def test_one_frame_is_a_video(tmp_path, suffix):
    codec, pix_fmt = {"webm": ("libvpx-vp9", "yuv420p"), "gif": ("gif", "gray")}.get(
        suffix, ("libx264", "yuv420p")
    )
    frames = np.full((1, 48, 64, 3), 90, np.uint8)
    path = files.write(tmp_path / f"one.{suffix}", frames, codec=codec, pix_fmt=pix_fmt)
    for sampling in (Sampling(), Sampling("fps"), Sampling("keyframes"), Sampling("all")):
        clip = open_video(path, sampling)
        assert clip.frames.shape == (1, 48, 64, 3)
        assert clip.times.tolist() == [0.0]
        assert np.abs(clip.frames.astype(int) - 90).max() < 4
    assert probe(path).num_frames == 1


def test_a_video_without_a_stated_duration_has_the_one_of_its_frames(made, folder, tmp_path):
    # Written to a pipe, Matroska cannot go back to fill in its duration.
    path = tmp_path / "live.webm"
    path.write_bytes(
        subprocess.run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-i",
                made("vp9", "webm"),
                "-c",
                "copy",
                "-f",
                "webm",
                "-live",
                "1",
                "-",
            ],
            capture_output=True,
            check=True,
        ).stdout
    )
    clip = open_video(path, Sampling(num_frames=4))
    assert files.numbers(clip.frames) == [2, 6, 10, 14]
    assert clip.duration == pytest.approx(2.0, abs=0.002)


@pytest.fixture(scope="module")
def ten_minutes(folder):
    """1200 counting frames at 2 frames a second, a key frame every 20."""
    frames = files.counting(1200, 32, 24)
    return files.write(folder / "long.mp4", frames, tick=Fraction(1, 2), g="20", bf="2", pix_fmt="yuv420p")


def test_ten_minutes_decode_only_what_is_sampled(ten_minutes):
    reader = PyAVReader(ten_minutes, "mp4", Limits())
    frames, kept = reader.frames(choose(reader.timeline, Sampling(num_frames=16)), None)
    assert files.numbers(frames) == kept.tolist() == [37 + 75 * i for i in range(16)]
    assert reader.timeline.duration == pytest.approx(600)
    # On the average half a group of 20 per frame, and a few packets until a frame comes out.
    assert reader.decoded < 16 * 20

    reader = PyAVReader(ten_minutes, "mp4", Limits())
    frames, kept = reader.frames(choose(reader.timeline, Sampling("keyframes", num_frames=8)), None)
    assert files.numbers(frames) == kept.tolist()
    assert (kept % 20 == 0).all()
    assert reader.decoded <= 8 * 8


@pytest.mark.parametrize("patience", [600, 1300])
def test_nothing_more_is_decoded_for_who_has_left(ten_minutes, patience):
    asked = itertools.count()
    with pytest.raises(Left):
        open_video(ten_minutes, EVERY, has_left=lambda: next(asked) >= patience)
    assert next(asked) == patience + 1


def test_ten_minutes_can_be_read_to_the_end(ten_minutes):
    clip = open_video(ten_minutes, Sampling("all", num_frames=4, start=598.0))
    assert files.numbers(clip.frames) == [1196, 1197, 1198, 1199]
    assert clip.times.tolist() == [598.0, 598.5, 599.0, 599.5]


def test_a_start_other_than_zero_is_counted_from_the_first_frame(mp4, tmp_path):
    for name in ("off.mp4", "off.mkv", "off.ts"):
        files.ffmpeg("-i", mp4, "-c", "copy", "-output_ts_offset", "5", tmp_path / name)
        clip = open_video(tmp_path / name, Sampling(num_frames=4))
        assert files.numbers(clip.frames) == [2, 6, 10, 14]
        assert clip.times == pytest.approx([0.25, 0.75, 1.25, 1.75])


def test_an_edit_list_hides_what_it_cuts_away(mp4, tmp_path):
    """Cut without coding anew at 0.55 s: the file keeps the key frame before, at a negative time, unseen."""
    files.ffmpeg("-ss", "0.55", "-i", mp4, "-c", "copy", tmp_path / "cut.mp4")
    clip = open_video(tmp_path / "cut.mp4", EVERY)
    assert files.numbers(clip.frames) == list(range(5, 16))
    assert clip.times[0] == 0.0
    assert np.diff(clip.times) == pytest.approx(np.full(10, 0.125), abs=0.001)
    assert files.numbers(open_video(tmp_path / "cut.mp4", Sampling("all", start=1.2)).frames)[-1] == 15


def test_a_recording_that_begins_between_key_frames_begins_at_the_next(mp4, tmp_path):
    files.ffmpeg("-i", mp4, "-c", "copy", tmp_path / "whole.ts")
    packets = (tmp_path / "whole.ts").read_bytes()
    middle = len(packets) // 188 // 4 * 188
    clip = open_video(packets[: 3 * 188] + packets[middle:], EVERY)
    assert files.numbers(clip.frames) == list(range(8, 16))
    assert clip.times[0] == 0.0


def test_what_is_transparent_lets_white_through(tmp_path, needs_ffmpeg):
    picture = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 16, 32))
    picture.save(tmp_path / "alpha.gif")
    picture.save(tmp_path / "alpha.png")
    files.transcode(tmp_path / "alpha.png", tmp_path / "alpha.mov", "-c:v", "qtrle", "-pix_fmt", "argb")
    for name in ("alpha.mov", "alpha.gif"):
        frame = open_video(tmp_path / name).frames[0]
        assert frame[16, 4].tolist() == pytest.approx([0, 0, 255], abs=4), name
        assert frame[16, 28].tolist() == [255, 255, 255], name


def test_each_colour_matrix_and_range_gives_the_same_colours(master, folder, needs_ffmpeg):
    ways = {
        "709": ("-vf", "scale=out_color_matrix=bt709", "-pix_fmt", "yuv420p", "-colorspace", "bt709"),
        "601": ("-pix_fmt", "yuv420p"),
        "full": ("-vf", "scale=out_range=full", "-pix_fmt", "yuvj420p", "-color_range", "pc"),
        "10bit": ("-pix_fmt", "yuv420p10le"),
    }
    for name, args in ways.items():
        path = files.transcode(master, folder / f"colour-{name}.mp4", *args, "-c:v", "libx264", "-crf", "4")
        red = open_video(path).frames[0, 8, 8].astype(int)
        assert np.abs(red - (220, 30, 30)).max() <= 4, (name, red)


def test_max_side_bounds_the_frames_and_keeps_their_shape(mp4):
    assert open_video(mp4, max_side=40).frames.shape == (16, 30, 40, 3)
    assert open_video(mp4, max_side=64).frames.shape == (16, 48, 64, 3)
    assert files.numbers(open_video(mp4, max_side=32).frames) == list(range(16))


def test_sound_alone_has_no_video_stream(master, tmp_path, needs_ffmpeg):
    for name in ("sound.m4a", "sound.ogg", "sound.mkv", "sound.avi"):
        files.ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", tmp_path / name)
    files.ffmpeg("-i", master, "-frames:v", "1", tmp_path / "cover.png")
    cover = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic")
    files.ffmpeg("-i", tmp_path / "sound.m4a", "-i", tmp_path / "cover.png", *cover, tmp_path / "covered.m4a")
    for path in tmp_path.glob("*.*"):
        if path.suffix != ".png":
            with pytest.raises(VideoError, match="has no video stream") as caught:
                open_video(path)
            assert caught.value.code == "no_video_stream"


def test_sound_beside_the_video_does_not_matter(mp4, tmp_path):
    files.ffmpeg("-f", "lavfi", "-i", "sine=d=3", "-i", mp4, "-c:v", "copy", tmp_path / "with.mp4")
    clip = open_video(tmp_path / "with.mp4", Sampling(num_frames=4))
    assert files.numbers(clip.frames) == [2, 6, 10, 14]
    assert clip.duration == pytest.approx(2.0)


def test_a_stream_that_breaks_off_gives_what_decodes(mp4, tmp_path):
    """What never said how long it is; `test_whole.py` has those that did."""
    files.ffmpeg("-i", mp4, "-c", "copy", tmp_path / "x.ts")
    data = (tmp_path / "x.ts").read_bytes()
    seen = files.numbers(open_video(data[: len(data) * 85 // 100], EVERY).frames)
    assert 4 <= len(seen) < 16 and seen == sorted(set(seen)) and seen[0] == 0


def test_an_mp4_without_its_index_is_damaged(mp4):
    data = mp4.read_bytes()
    assert data.find(b"moov") > data.find(b"mdat")
    with pytest.raises(VideoError, match="damaged or cut short") as caught:
        open_video(data[: data.find(b"moov") - 4])
    assert caught.value.code == "invalid_video"


def test_noise_in_the_file_never_breaks_anything_else(mp4):
    rng = np.random.default_rng(0)
    for _ in range(20):
        data = bytearray(mp4.read_bytes())
        for place in rng.integers(32, len(data), 30):
            data[place] = rng.integers(256)
        with contextlib.suppress(InputError):
            assert open_video(bytes(data)).frames.shape[3] == 3


def test_the_limits_are_kept(mp4):
    cases = [
        (Limits(max_duration=1.0), "video_too_long"),
        (Limits(max_frames=10), "video_too_long"),
        (Limits(max_pixels=60 * 40), "video_too_large"),
        (Limits(max_output_bytes=64 * 48 * 3 * 8), "invalid_value"),
    ]
    for limits, code in cases:
        with pytest.raises(InputError) as caught:
            open_video(mp4, limits=limits)
        assert caught.value.code == code
    assert (
        len(open_video(mp4, Sampling(num_frames=8), limits=Limits(max_output_bytes=64 * 48 * 3 * 8)).times)
        == 8
    )


def test_a_codec_out_of_use_is_named(tmp_path, master, needs_ffmpeg):
    path = files.transcode(master, tmp_path / "old.avi", "-c:v", "cinepak")
    with pytest.raises(VideoError, match="codec is cinepak") as caught:
        open_video(path)
    assert caught.value.code == "unsupported_video_codec"


def test_the_room_needs_neither_torch_nor_decord():
    code = "import sys, gpt4video.video; assert not {'torch', 'decord'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_decoder_is_named(mp4):
    with pytest.raises(InputError, match="pyav, decord"):
        open_video(mp4, decoder="opencv")
    with pytest.raises(InputError, match="max_side"):
        open_video(mp4, max_side=0)
