import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt4video.errors import InputError
from gpt4video.video import Clip, Sampling
from gpt4video.video.timeline import Timeline, choose


def timeline(times: list[float], duration: float, keys: tuple[int, ...] = (0,)) -> Timeline:
    return Timeline(np.array(times, dtype=np.float64), np.array(keys, dtype=np.int64), duration)


EVEN = timeline([i / 8 for i in range(16)], 2.0, keys=(0, 4, 8, 12))


def test_uniform_takes_the_middle_of_equal_stretches():
    assert choose(EVEN, Sampling(num_frames=1)).tolist() == [8]
    assert choose(EVEN, Sampling(num_frames=4)).tolist() == [2, 6, 10, 14]
    assert choose(EVEN, Sampling(num_frames=8)).tolist() == list(range(1, 16, 2))
    assert choose(EVEN, Sampling(num_frames=16)).tolist() == list(range(16))


def test_a_short_video_gives_every_frame_once():
    assert choose(EVEN, Sampling(num_frames=99)).tolist() == list(range(16))
    assert choose(timeline([0.0], 0.0), Sampling(num_frames=16)).tolist() == [0]


def test_uniform_means_uniform_in_time():
    # 12 frames in the first second, then one each second up to the tenth.
    times = [i / 12 for i in range(12)] + [float(s) for s in range(1, 10)]
    chosen = choose(timeline(times, 10.0), Sampling(num_frames=5))
    assert np.array(times)[chosen].tolist() == [1, 3, 5, 7, 9]


def test_where_one_frame_fills_several_stretches_the_rest_comes_from_elsewhere():
    still = timeline([0.0, 9.0, 9.1, 9.2, 9.9], 10.0)
    assert choose(still, Sampling(num_frames=4)).tolist() == [0, 1, 3, 4]


def test_milliseconds_rounded_by_the_container_do_not_change_the_choice():
    rounded = timeline([round(i / 30, 3) for i in range(60)], 2.0)
    exact = timeline([i / 30 for i in range(60)], 2.0)
    for n in (1, 2, 3, 4, 6, 10, 15, 20, 30, 60):
        assert (
            choose(rounded, Sampling(num_frames=n)).tolist() == choose(exact, Sampling(num_frames=n)).tolist()
        )


def test_fps_counts_from_the_start_and_gives_way_where_that_would_be_more_than_num_frames():
    assert choose(EVEN, Sampling("fps", fps=2)).tolist() == [0, 4, 8, 12]
    assert choose(EVEN, Sampling("fps", fps=2, num_frames=3)).tolist() == [0, 5, 10]
    assert choose(EVEN, Sampling("fps", fps=2, start=0.5, end=1.5)).tolist() == [4, 8]
    assert choose(EVEN, Sampling("fps", fps=100, num_frames=400)).tolist() == list(range(16))


def test_keyframes_are_the_streams_own_and_evenly_thinned():
    assert choose(EVEN, Sampling("keyframes")).tolist() == [0, 4, 8, 12]
    assert choose(EVEN, Sampling("keyframes", num_frames=2)).tolist() == [4, 12]
    assert choose(EVEN, Sampling("keyframes", start=0.1, end=0.4)).tolist() == [0]  # none: what is on screen


def test_all_gives_every_frame_up_to_num_frames():
    assert choose(EVEN, Sampling("all", num_frames=5)).tolist() == [0, 1, 2, 3, 4]
    assert choose(EVEN, Sampling("all", num_frames=99, start=1.0, end=1.5)).tolist() == [8, 9, 10, 11]


def test_a_stretch_after_the_end_is_the_callers_mistake():
    with pytest.raises(InputError, match="start is 2 s, but the video ends at 2 s"):
        choose(EVEN, Sampling(start=2.0))


@given(
    gaps=st.lists(st.floats(0.001, 5), min_size=1, max_size=40),
    kind=st.sampled_from(["uniform", "fps", "keyframes", "all"]),
    n=st.integers(1, 50),
    start=st.floats(0, 0.9),
    stretch=st.floats(0.01, 1),
)
def test_every_choice_is_rising_and_within_bounds(gaps, kind, n, start, stretch):
    times = np.concatenate([[0], np.cumsum(gaps)])
    line = Timeline(times[:-1], np.arange(0, len(gaps), 3), float(times[-1]))
    begin = start * line.duration
    chosen = choose(line, Sampling(kind, n, start=begin, end=begin + stretch * line.duration))
    assert 1 <= len(chosen) <= n
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0 and chosen[-1] < len(gaps)
    if kind == "uniform" and stretch == 1 and start == 0:
        assert len(chosen) == min(n, len(gaps))


def test_equal_clips_have_equal_hashes():
    frames = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    assert Clip.of(frames, 8).hash == Clip.of(frames.copy(), 8).hash
    assert Clip.of(frames, 8).hash != Clip.of(frames, 4).hash
    assert Clip.of(frames, 8).hash != Clip.of(frames[:, :, ::-1], 8).hash
