"""What the safety filter says, in the words of OpenAI's moderation API.

verdicts on words and clips -> one result: flagged, categories, scores, and what each was found in
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from gpt4video.interfaces import Door, Safety, Verdict
from gpt4video.messages import Message
from gpt4video.video import Clip

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The SDK's types ask for every one of them in every answer."""

Judged = tuple[str, Verdict]
"""What was looked at (`text`, `image`, `video`) and what safety says of it."""


async def judged(safety: Safety, thing: str | Clip, door: Door = "question") -> Judged:
    """The verdict on words, or on frames as if they had been posted."""
    if isinstance(thing, str):
        return "text", await asyncio.to_thread(safety.text, thing, door)
    kind = "image" if len(thing.frames) == 1 else "video"
    return kind, await asyncio.to_thread(safety.clip, thing, "posted_video")


def result(verdicts: Sequence[Judged]) -> dict[str, Any]:
    """One result of several verdicts; the filter's own categories stand beside OpenAI's."""
    scores = dict.fromkeys(CATEGORIES, 0.0)
    applied: dict[str, list[str]] = {name: [] for name in CATEGORIES}
    for kind, verdict in verdicts:
        for name, score in _scores(verdict):
            scores[name] = max(scores.get(name, 0.0), score)
            applied.setdefault(name, []).append(kind)
    flagged = {name for _, verdict in verdicts for name in verdict.categories}
    return {
        "flagged": any(not verdict.allowed for _, verdict in verdicts),
        "categories": {name: name in flagged for name in scores},
        "category_scores": scores,
        "category_applied_input_types": {name: sorted(set(kinds)) for name, kinds in applied.items()},
    }


def _scores(verdict: Verdict) -> Iterable[tuple[str, float]]:
    """Scores by category; what was flagged without one counts as certain."""
    known = dict(verdict.scores)
    yield from known.items()
    for name in verdict.categories:
        if not known.get(name):
            yield name, 1.0


async def of_chat(safety: Safety, question: Message, answer: str, model: str) -> dict[str, Any]:
    """The `moderation` of a chat that asked for it: verdicts on its last question and on its answer."""
    things: list[str | Clip] = [question.text, *question.clips]
    asked = [await judged(safety, thing) for thing in things]
    said = [await judged(safety, answer)]
    return {"input": _results(asked, model), "output": _results(said, model)}


def _results(verdicts: Sequence[Judged], model: str) -> dict[str, Any]:
    one = {"type": "moderation_result", "model": model, **result(verdicts)}
    return {"type": "moderation_results", "model": model, "results": [one]}
