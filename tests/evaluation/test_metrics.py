"""Shares, their intervals, and their bars."""

import pytest

from gpt4video.evaluation.metrics import BARS, Measure, bar_of, wilson
from gpt4video.evaluation.report import markdown, plain, read_files
from gpt4video.evaluation.tasks import MEASURES


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_gives_the_published_numbers(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=1e-4)


def test_nothing_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_measure_survives_its_json():
    measure = Measure.of("decide", [True, True, False, True], 7)
    assert measure.as_json() == {"value": 0.75, "n": 4, "seed": 7, "interval": [0.3006, 0.9544], "bar": 0.99}
    assert Measure.of_json(measure.as_json()) == measure
    assert measure.reached is False and Measure.of("chat/smalltalk", [True], 7).reached is None


def test_bars_are_those_of_the_demand():
    assert bar_of("qa/all") == 0.95 and bar_of("qa/yesno") == 0.9 and bar_of("draw/one/color") == 0.97
    assert bar_of("oracle/renders/color") == 0.995 and bar_of("oracle/renders/everything") is None
    assert bar_of("baseline/qa/no_video") is None and bar_of("draw/one/size") is None
    elsewhere = {"qa/second_renderer", "handwritten/all"}
    assert all(name in MEASURES for name in BARS if "*" not in name and name not in elsewhere)


def test_tables_hold_every_measure(tmp_path):
    measures = {"decide": Measure.of("decide", [True], 7), "qa/all": Measure.of("qa/all", [False], 7)}
    for table in (markdown(measures), plain(measures)):
        assert "100.0 %" in table and "99 %" in table and " no" in table
    file = tmp_path / "a.json"
    file.write_text('{"decide": {"value": 1.0, "n": 1, "seed": 7, "interval": [0.2065, 1.0], "bar": 0.99}}')
    assert read_files([file]) == {"decide": measures["decide"]}
