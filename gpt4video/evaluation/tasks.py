"""Everything that is measured, as a table: what makes the cases, and the measures they count in.

Measures of one task share their cases: a clip is filmed once and asked about many times.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from gpt4video.evaluation import questions
from gpt4video.evaluation.conversations import TALKS
from gpt4video.evaluation.drawings import (
    COUNTS,
    draw_cases,
    draw_measures,
    oracle_cases,
    oracle_measures,
)
from gpt4video.evaluation.metrics import Measure
from gpt4video.evaluation.play import Bench, Case, EvaluationConfig, Need


@dataclass(frozen=True)
class Task:
    """Cases, and the measures that come of them."""

    cases: Callable[[Bench, Need], Iterator[Case]]
    measures: tuple[str, ...]
    draws: bool = False
    """Whether it means nothing without a drawer."""

    def wanted(self, config: EvaluationConfig, drawer: bool = True) -> dict[str, int]:
        """The measures of this task that a config wants, with their numbers of samples."""
        return {
            m: config.samples(m)
            for m in self.measures
            if config.wants(m) and (drawer or not (self.draws or m in NEED_A_DRAWER))
        }


NEED_A_DRAWER = ("edit/posted/everything", "copy/posted/everything")

TASKS: dict[str, Task] = {
    "oracle on renders": Task(partial(oracle_cases, "renders"), oracle_measures("renders")),
    "oracle on VAE": Task(partial(oracle_cases, "vae"), oracle_measures("vae")),
    "questions": Task(questions.cases, questions.MEASURES),
    **{name.replace("_", " "): Task(talk.cases, talk.measures) for name, talk in TALKS.items()},
    **{f"draw {n}": Task(partial(draw_cases, n), draw_measures(n), draws=True) for n in COUNTS},
}
"""Every task, the quick ones first."""

MEASURES = tuple(m for task in TASKS.values() for m in task.measures)

Measures = dict[str, Measure]
Done = Callable[[Measures], None]


def evaluate(
    bench: Bench, done: Done = lambda measures: None, before: Measures | None = None, quiet: bool = True
) -> Measures:
    """Every measure that is wanted and is not among those from `before`; `done` hears of all so far."""
    config, measures = bench.config, dict(before or {})
    for name, task in TASKS.items():
        wanted = task.wanted(config, bench.assistant.drawer is not None)
        wanted = {m: n for m, n in wanted.items() if m not in measures}
        if not wanted:
            continue
        progress = _Progress(name, sum(wanted.values()), quiet)
        outcomes = bench.play(task.cases(bench, Need(wanted)), wanted, progress)
        measures |= {m: Measure.of(m, outcomes[m], config.seed) for m in wanted if m in outcomes}
        progress.end()
        done(measures)
    return {m: measures[m] for m in MEASURES if m in measures}


class _Progress:
    """A line on stderr that counts up."""

    def __init__(self, name: str, total: int, quiet: bool) -> None:
        self._name, self._total, self._quiet, self._start = name, total, quiet, time.monotonic()

    def __call__(self, count: int) -> None:
        if not self._quiet:
            spent = time.monotonic() - self._start
            line = f"{self._name}: {count} of {self._total}, {spent:.0f} s"
            print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """The next line."""
        if not self._quiet:
            print(file=sys.stderr, flush=True)
