"""The cache forgets what was not used for longest, and never grows past its bounds."""

import numpy as np

from gpt4video.cache import Recent, bytes_of


def test_what_was_not_used_for_longest_goes_first():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(k) for k in "abc"] == [1, None, 3]


def test_bytes_are_bounded_too():
    recent = Recent(10, most_bytes=100)
    recent.put("a", np.zeros(60, np.uint8))
    recent.put("b", np.zeros(60, np.uint8))
    assert recent.get("a") is None and recent.get("b") is not None
    recent.put("b", np.zeros(10, np.uint8))
    recent.put("c", np.zeros(90, np.uint8))
    assert recent.get("b") is not None and recent.get("c") is not None
    recent.put("d", np.zeros(101, np.uint8))
    assert recent.get("d") is None


def test_bytes_are_counted_within_mappings_and_lists():
    eight = np.zeros(1)
    assert bytes_of({"a": eight, "b": [eight, (eight, "words")]}) == 24
