"""A request and what the oracle read -> which requested things are right.

    judge(request, read(frames)) -> {"color": True, "shape": True, "count": True, ..., "everything": True}

Only what was asked for is judged; "everything" is all of it: every attribute of every object, the background,
the relation, no object more or less, and none that appears, vanishes or changes colour unasked. What the
oracle could not tell is not right.
"""

from __future__ import annotations

from itertools import permutations

from gpt4video.shapes.language.describe import Request
from gpt4video.shapes.oracle import Reading

ATTRIBUTES: dict[str, int] = {"color": 32, "shape": 16, "motion": 8, "size": 4, "speed": 2}
"""What is said of an object, and how much it tells which object is meant."""
_RELATION = 1
"""Decides between objects of which the same was said."""
_MOST = 6
"""Objects looked at; the oracle reads no more than five."""


def judge(request: Request, reading: Reading) -> dict[str, bool]:
    """Right or wrong by attribute (those requested), by count, background and relation, and altogether."""
    match = _match(request, reading)
    result: dict[str, bool] = {}
    for attribute in ATTRIBUTES:
        asked = [i for i, wanted in enumerate(request.things) if getattr(wanted, attribute) is not None]
        if asked:
            result[attribute] = all(_agree(request, reading, i, match[i], attribute) for i in asked)
    result["count"] = reading.count == len(request.things)
    if request.background is not None:
        result["background"] = reading.background == request.background
    if request.relation is not None:
        result["relation"] = _relates(request, reading, match)
    result["everything"] = all(result.values()) and not any(thing.event for thing in reading.things)
    return result


Match = tuple[int | None, ...]
"""For each wanted object, the index of the one seen, or None."""


def _agree(request: Request, reading: Reading, wanted: int, seen: int | None, attribute: str) -> bool:
    """Whether an object is what was asked for; one that changes colour is of no colour."""
    if seen is None or (attribute == "color" and reading.things[seen].new_color is not None):
        return False
    return bool(getattr(reading.things[seen], attribute) == getattr(request.things[wanted], attribute))


def _match(request: Request, reading: Reading) -> Match:
    """The objects seen that the wanted ones can only mean: the assignment that agrees most."""
    slots = [*range(min(len(reading.things), _MOST)), *[None] * len(request.things)]

    def agreement(match: Match) -> int:
        total = _RELATION if _relates(request, reading, match) else 0
        for i, seen in enumerate(match):
            for attribute, weight in ATTRIBUTES.items():
                said = getattr(request.things[i], attribute) is not None
                total += weight if said and _agree(request, reading, i, seen, attribute) else 0
        return total

    return max(permutations(slots, len(request.things)), key=agreement)


def _relates(request: Request, reading: Reading, match: Match) -> bool:
    """Whether the first two objects stand as the request says."""
    if request.relation is None or len(match) < 2:
        return False
    a, b = match[:2]
    if a is None or b is None:
        return False
    if request.relation == "passes":
        return (b, a) in reading.passes
    return bool(reading.left_of(a, b) if request.relation == "left_of" else reading.above(a, b))
