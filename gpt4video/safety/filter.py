"""The filter at the four doors, as the assistant knows it.

    question, instruction       words against `policy.yaml`
    posted_video, drawn_video   frames against a checker, where the checkpoint has one

Without a checker every clip passes, with no scores at all: nothing has been looked at, and the verdict does
not pretend otherwise. Rules on words catch what is said outright and disguised, not what is meant: they are
the first layer, and a model that was taught to refuse is the second.
"""

from __future__ import annotations

from pathlib import Path

from gpt4video.cache import Recent
from gpt4video.interfaces import Door, Verdict
from gpt4video.safety.frames import FrameChecker, condemned, thinned
from gpt4video.safety.policy import DEFAULT, Policy
from gpt4video.safety.text import TextFilter
from gpt4video.video import Clip


class SafetyFilter:
    """`interfaces.Safety` by one policy, with a frame checker or without."""

    def __init__(self, policy: Policy | None = None, checker: FrameChecker | None = None) -> None:
        """`policy` None is the one that ships with the package."""
        self.policy = policy or Policy.from_file(DEFAULT)
        self._words, self._checker = TextFilter(self.policy), checker
        # A conversation sends its clips again with every turn.
        self._verdicts: Recent[Verdict] = Recent(256)

    @classmethod
    def from_folder(cls, folder: str | Path, device: str = "cpu") -> SafetyFilter:
        """The `safety/` of a checkpoint: a `policy.yaml`, and a frame checker; each may be missing."""
        folder = Path(folder)
        policy = Policy.from_file(folder / "policy.yaml") if (folder / "policy.yaml").is_file() else None
        if not (folder / "config.json").is_file():
            return cls(policy)
        from gpt4video.safety.checker import StableDiffusionFrameChecker  # brings in torch

        return cls(policy, StableDiffusionFrameChecker.from_folder(folder, device))

    def text(self, text: str, door: Door) -> Verdict:
        """A verdict on words."""
        return self._words(text, door)

    def clip(self, clip: Clip, door: Door) -> Verdict:
        """A verdict on frames; allowed and without scores where there is no checker."""
        if self._checker is None:
            return Verdict(allowed=True)
        if (known := self._verdicts.get((clip.hash, door))) is not None:
            return known
        verdict = self._look(self._checker, clip, door)
        self._verdicts.put((clip.hash, door), verdict)
        return verdict

    def _look(self, checker: FrameChecker, clip: Clip, door: Door) -> Verdict:
        rule = self.policy.frames
        scores = checker.scores(thinned(clip, rule.max_frames))
        flagged = tuple(
            name
            for column, name in enumerate(checker.categories)
            if self._applies(name, door) and condemned(scores[:, column], rule)
        )
        highest = {name: float(scores[:, i].max()) for i, name in enumerate(checker.categories)}
        return self._words.verdict(flagged, highest)

    def _applies(self, category: str, door: Door) -> bool:
        return category not in self.policy.categories or door in self.policy.categories[category].doors
