"""Frames against the policy: a checker scores every frame, and a rule over time judges the clip.

    scores of frames   0.1 0.1 0.7 0.1   one clear frame (> high)              -> flagged
                       0.1 0.6 0.6 0.1   doubtful frames in a row (> low)      -> flagged
                       0.6 0.1 0.6 0.1   doubtful frames here and there        -> allowed

The paper rejects a clip when more than 4 of 10 frames flag; a short violation passes that, but not this rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gpt4video.safety.policy import FrameRule
from gpt4video.video import Clip


class FrameChecker(Protocol):
    """Scores frames one by one."""

    @property
    def categories(self) -> Sequence[str]:
        """What it scores, in the policy's words."""
        ...

    def scores(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores from 0 to 1, (T, number of categories), for frames (T, H, W, 3)."""
        ...


def thinned(clip: Clip, most: int) -> NDArray[np.uint8]:
    """At most `most` frames of the clip, evenly spread, first and last among them."""
    count = len(clip.frames)
    return clip.frames if count <= most else clip.frames[np.linspace(0, count - 1, most).round().astype(int)]


def condemned(scores: NDArray[np.float64], rule: FrameRule) -> bool:
    """Whether the scores of the frames (T,) condemn the clip; one shorter than a run needs all its frames."""
    doubtful = scores > rule.low
    run = min(rule.run, len(scores))
    in_a_row = np.convolve(doubtful, np.ones(run), mode="valid").max() >= run
    return bool((scores > rule.high).any() or in_a_row)
