"""Questions about posted videos, of every kind; and what luck alone would get.

Baselines ask the questions of `qa/all` about a blank video, about somebody else's, and about one frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gpt4video.answer import Answer
from gpt4video.evaluation.play import BLANK, Bench, Case, Judge, Need
from gpt4video.messages import user
from gpt4video.shapes.language.questions import KINDS, QA, judge_answer, sample_question
from gpt4video.shapes.world import POSTED, sample_scene
from gpt4video.video import Clip

BASELINES: dict[str, Callable[[Clip, Clip], Clip]] = {
    "baseline/qa/no_video": lambda own, other: BLANK,
    "baseline/qa/shuffled_videos": lambda own, other: other,
    "baseline/qa/one_frame": lambda own, other: middle(own),
}
"""What is shown instead of the right clip, of that and of another one."""

MEASURES = ("qa/all", *(f"qa/{kind}" for kind in KINDS), *BASELINES)


def middle(clip: Clip) -> Clip:
    """The frame in the middle alone."""
    at = len(clip.frames) // 2
    return Clip(clip.frames[at : at + 1], clip.times[at : at + 1], clip.duration)


def right(qa: QA, *measures: str) -> Judge:
    """Whether the words answer the question, and nothing is drawn."""

    def judge(answer: Answer) -> dict[str, bool]:
        return dict.fromkeys(measures, not answer.videos and judge_answer(qa, answer.text))

    return judge


def cases(bench: Bench, need: Need) -> Iterator[Case]:
    """One scene after the other, asked every question of which there are not enough yet."""
    part, index, other = bench.config.part, 0, BLANK
    while need:
        rng = bench.rng("qa", index)
        scene = sample_scene(rng, part, POSTED)
        asked: list[tuple[QA, tuple[str, ...]]] = []
        if taken := need.take("qa/all", *BASELINES):
            qa = sample_question(scene, bench.rng("qa/all", index), part)
            assert qa is not None, "every scene has a background to ask for"
            asked.append((qa, taken))
        for kind in KINDS:
            if need.open(f"qa/{kind}") and (
                found := sample_question(scene, bench.rng(kind, index), part, kind)
            ):
                asked.append((found, need.take(f"qa/{kind}")))
        index += 1
        if not asked:
            continue
        own = bench.film(scene, rng)
        for qa, measures in asked:
            for measure in measures:
                shown = BASELINES[measure](own, other) if measure in BASELINES else own
                yield Case((user(shown, qa.question),), right(qa, measure), qa.answer)
        other = own
