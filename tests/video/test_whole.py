"""A file that is not all there is told so, wherever it was cut; what never said its size is read as it is."""

import io
import time
from fractions import Fraction
from pathlib import Path

import av
import files
import hostile
import numpy as np
import pytest

from gpt4video.errors import VideoError
from gpt4video.video import Limits, Sampling, open_video, probe
from gpt4video.video.whole import demand_whole

EVERY = Sampling("all", num_frames=100)
TELL = ("mp4", "mov", "mkv", "webm", "avi", "gif")
"""What says how large it is."""


@pytest.fixture(scope="module")
def corpus(folder) -> dict[str, bytes]:
    return hostile.corpus(folder)


class Pipe:
    """What is written to it cannot be gone back to: no size is filled in."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data) -> int:
        self.data += bytes(data)
        return len(data)


def remuxed(data: bytes, format: str, file: Path | Pipe, **options: str) -> bytes:
    """The same packets in another container, written to a file or a pipe."""
    with av.open(io.BytesIO(data)) as source, av.open(file, "w", format=format, options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return file.data if isinstance(file, Pipe) else file.read_bytes()


def frames_of(data: bytes) -> int:
    return len(open_video(data, EVERY).frames)


def demand_cut_short(data: bytes) -> None:
    for look in (open_video, probe):
        with pytest.raises(VideoError, match="is cut short: it speaks of") as caught:
            look(data)
        assert caught.value.code == "invalid_video"


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def open_ended(mp4: bytes) -> bytes:
    """An mp4 with its index in front whose last box, the frames, goes on to the end, wherever that is."""
    at = mp4.index(b"mdat") - 4
    assert mp4.index(b"moov") < at
    return mp4[:at] + bytes(4) + mp4[at + 4 :]


@pytest.mark.parametrize("kind", TELL)
def test_a_file_cut_short_anywhere_is_refused(corpus, kind):
    data = corpus[kind]
    assert frames_of(data) == 6
    # The first boxes say what it is; of an AVI's size the last bytes are not taken at their word.
    for end in (len(data) // 4, len(data) // 2, len(data) * 3 // 4, len(data) - 9):
        demand_cut_short(data[:end])


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_one_byte_is_missed(corpus, kind):
    demand_cut_short(corpus[kind][:-1])


def test_it_does_not_matter_which_decoder_would_read_it(corpus):
    pytest.importorskip("decord")
    for kind in ("mp4", "mkv", "avi"):
        with pytest.raises(VideoError, match="is cut short"):
            open_video(corpus[kind][: len(corpus[kind]) // 2], EVERY, "decord")


@pytest.mark.parametrize(
    "flags", ["frag_keyframe+empty_moov", "frag_every_frame+empty_moov+default_base_moof"]
)
def test_fragments_are_whole_one_by_one(corpus, flags):
    data = remuxed(corpus["mp4"], "mp4", Pipe(), movflags=flags)
    assert frames_of(data) == 6
    demand_cut_short(data[: data.index(b"mfra") - 14])


def test_an_mp4_that_lists_its_segments_misses_one_that_is_not_there(corpus, tmp_path):
    flags = "frag_every_frame+empty_moov+default_base_moof+global_sidx"
    data = remuxed(corpus["mp4"], "mp4", tmp_path / "x", movflags=flags)
    assert frames_of(data) == 6
    demand_cut_short(data[: data.rindex(b"moof") - 4])  # where a segment ends


def test_samples_that_the_index_names_are_missed_where_no_box_says_its_size(corpus, tmp_path):
    data = open_ended(remuxed(corpus["mp4"], "mp4", tmp_path / "x", movflags="faststart"))
    assert frames_of(data) == 6
    demand_cut_short(data[:-1])


def test_a_recording_that_never_learnt_its_size_is_read_as_far_as_it_goes(corpus):
    avi = remuxed(corpus["avi"], "avi", Pipe())
    assert avi[4:8] == b"\xff\xff\xff\xff"
    webm = remuxed(corpus["webm"], "webm", Pipe())
    assert webm[webm.index(b"\x18\x53\x80\x67") + 4 :][:8] == b"\x01" + b"\xff" * 7
    at = webm.index(b"\x1f\x43\xb6\x75") + 4  # its cluster, as browsers record them
    length = 9 - webm[at].bit_length()
    webm = webm[:at] + ((2 << 7 * length) - 1).to_bytes(length, "big") + webm[at + length :]
    for data in (avi, webm):
        assert frames_of(data) == 6
        assert 4 <= frames_of(data[:-10]) <= 6
    nothing = corpus["avi"][:4] + bytes(4) + corpus["avi"][8:]
    assert frames_of(nothing) == 6


def test_a_cluster_of_a_live_stream_says_what_it_holds(corpus):
    data = remuxed(corpus["mkv"], "matroska", Pipe())
    demand_cut_short(data[: len(data) * 9 // 10])


@pytest.mark.parametrize("junk", [b"\0", b"\0" * 100, b"\x7f\xff\xff\xffSEFTjunk", b"ID3 and so on"])
def test_what_others_write_behind_a_video_does_not_matter(corpus, junk):
    for kind in TELL:
        assert frames_of(corpus[kind] + junk) == 6, kind


def test_large_boxes_have_a_size_of_their_own(corpus, tmp_path):
    data = remuxed(corpus["mp4"], "mp4", tmp_path / "x", movflags="faststart")
    large = (1).to_bytes(4, "big") + b"free" + (1000).to_bytes(8, "big") + bytes(984)
    assert frames_of(data + large) == 6
    demand_cut_short(data + large[:-1])


def test_countless_pieces_are_not_counted_for_ever():
    data = hostile.FTYP + box(b"free") * 4_000_000
    began = time.monotonic()
    assert demand_whole(data, "mp4") == len(data)
    assert time.monotonic() - began < 30


# --- damage that the decoder itself complains of ----------------------------------------------------------


def noisy(data: bytes, share: float, first: int = 30) -> bytes:
    """The same file with noise in the packets of so many of its frames, from the byte `first` of each on."""
    rng = np.random.default_rng(0)
    spoilt = bytearray(data)
    with av.open(io.BytesIO(data)) as file:
        packets = [(packet.pos, packet.size) for packet in file.demux(video=0) if packet.size]
    for number, (at, size) in enumerate(packets):
        if int(number * share) != int((number + 1) * share):
            spoilt[at + first : at + size] = rng.integers(0, 256, max(0, size - first), np.uint8).tobytes()
    return bytes(spoilt)


@pytest.fixture(scope="module")
def rough(folder):
    """Frames with something to see in each, all key frames, so that the damage of one is its own."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (24, 48, 64, 3), np.uint8)

    def make(codec: str, suffix: str, pix_fmt: str = "yuv420p", **options: str) -> bytes:
        path = folder / f"rough-{codec}.{suffix}"
        return files.write(
            path, frames, codec=codec, pix_fmt=pix_fmt, tick=Fraction(1, 25), **options
        ).read_bytes()

    return make


@pytest.mark.parametrize(
    ("codec", "suffix", "pix_fmt"),
    [("libx264", "mp4", "yuv420p"), ("mpeg4", "avi", "yuv420p"), ("mjpeg", "mkv", "yuvj420p")],
)
def test_a_video_most_of_whose_frames_are_damaged_is_refused_and_one_with_a_few_is_not(
    rough, codec, suffix, pix_fmt
):
    data = rough(codec, suffix, pix_fmt, g="1", bf="0")
    for threads in (1, 4):
        limits = Limits(max_threads=threads)
        assert len(open_video(data, EVERY, limits=limits).frames) == 24
        with pytest.raises(VideoError, match=r"frames looked at cannot be|No frame") as caught:
            open_video(noisy(data, 1.0), EVERY, limits=limits)
        assert caught.value.code == "invalid_video"
        assert 12 <= len(open_video(noisy(data, 0.25), EVERY, limits=limits).frames) <= 24


def test_frames_that_a_decoder_leaves_out_without_a_word_are_damaged_too(rough):
    data = rough("libx265", "mp4", **{"x265-params": "log-level=none:keyint=1:pools=1:info=0"})
    assert len(open_video(data, EVERY).frames) == 24
    with pytest.raises(VideoError, match=r"frames looked at cannot be|No frame"):
        open_video(noisy(data, 0.75, first=6), EVERY)
    assert 12 <= len(open_video(noisy(data, 0.25, first=6), EVERY).frames) < 24
