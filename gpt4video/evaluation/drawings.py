"""Drawings, judged by the oracle on the decoded mp4; and what the oracle says of perfect ones.

draw/one, /two, /three      prompts of as many objects, drawn without a language model
baseline/draw/…             the same drawings, judged by somebody else's prompt
oracle/renders, oracle/vae  the renderer's own frames, and those after the drawer's VAE: the ceiling
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpt4video.answer import Answer
from gpt4video.evaluation.play import Bench, Case, Need, look
from gpt4video.shapes.judge import judge
from gpt4video.shapes.language.describe import Request, full_request, prompt, request_of
from gpt4video.shapes.language.refer import canonical
from gpt4video.shapes.language.requests import allowed
from gpt4video.shapes.oracle import Reading
from gpt4video.shapes.render import FPS, render
from gpt4video.shapes.world import DRAWN, Part, sample_scene
from gpt4video.video import Clip

COUNTS = {"one": (1.0, 0.0, 0.0), "two": (0.0, 1.0, 0.0), "three": (0.0, 0.0, 1.0)}
ASPECTS = ("color", "shape", "motion", "size", "speed", "count", "background", "relation", "everything")
"""What `judge` says of a drawing, where it was asked for."""


def draw_measures(count: str) -> tuple[str, ...]:
    """The measures of drawings with that many objects; only two are told to stand in a relation."""
    aspects = [a for a in ASPECTS if count == "two" or a != "relation"]
    return (*(f"draw/{count}/{a}" for a in aspects), f"baseline/draw/{count}/shuffled_prompts")


def oracle_measures(source: str) -> tuple[str, ...]:
    """The measures of the oracle on perfect drawings."""
    return tuple(f"oracle/{source}/{aspect}" for aspect in ASPECTS if aspect != "relation")


def wish_of(rng: np.random.Generator, part: Part, count: str) -> Request:
    """What somebody might want drawn."""
    while True:
        request = request_of(canonical(sample_scene(rng, part, replace(DRAWN, counts=COUNTS[count]))), rng)
        if allowed(request, part):
            return request


def asked_for(request: Request) -> set[str]:
    """What a request says: the aspects in which it can be judged."""
    said = {a for w in request.things for a in ("color", "shape", "motion", "size", "speed") if getattr(w, a)}
    more = {a for a in ("background", "relation") if getattr(request, a)}
    return said | more | {"count", "everything"}


def leading(need: Need, measures: tuple[str, ...]) -> tuple[str, ...]:
    """The measures that say when there is enough: those of what is nearly always asked for, if wanted."""
    usual = [m for m in measures if m.rpartition("/")[2] not in ("size", "speed", "relation")]
    return need.open(*usual) or need.open(*measures)


def draw_cases(count: str, bench: Bench, need: Need) -> Iterator[Case]:
    """Prompt after prompt. What prompts seldom say is counted as often as it comes up.

    Beside what it was asked for, each drawing is judged by the prompt before it.
    """
    index, name, luck = 0, f"draw/{count}", f"baseline/draw/{count}/shuffled_prompts"
    other = wish_of(bench.rng(luck, 0), bench.config.part, count)
    wanted = leading(need, draw_measures(count))
    while need.open(*wanted):
        request = wish_of(bench.rng(name, index), bench.config.part, count)
        index += 1
        aspects = asked_for(request)
        taken = need.take(*(f"{name}/{a}" for a in ASPECTS if a in aspects), luck)
        if not taken:
            continue

        def judge_drawing(
            answer: Answer,
            request: Request = request,
            other: Request = other,
            taken: tuple[str, ...] = taken,
        ) -> dict[str, bool]:
            seen = look(answer.videos[0].clip) if answer.videos else Reading()
            right, by_luck = judge(request, seen), judge(other, seen)
            found = {f"{name}/{aspect}": value for aspect, value in right.items()}
            found[luck] = by_luck["everything"]
            return {m: value for m, value in found.items() if m in taken}

        yield Case(prompt(request), judge_drawing, draws=True)
        other = request


def oracle_cases(source: str, bench: Bench, need: Need) -> Iterator[Case]:
    """Scenes that could have been asked for, drawn by the renderer, and for `vae` once through the VAE."""
    drawer = bench.assistant.drawer
    enlarge = max(1, drawer.limits.size[0] // 64) if drawer is not None else 1
    index, through = 0, bench.reconstruct
    if source == "vae" and through is None:
        return
    wanted = leading(need, oracle_measures(source))
    while need.open(*wanted):
        rng = bench.rng(f"oracle/{source}", index)
        index += 1
        scene = canonical(sample_scene(rng, bench.config.part, DRAWN))
        request = full_request(scene)
        taken = need.take(*(f"oracle/{source}/{a}" for a in asked_for(request)))
        frames = render(scene)

        def judge_frames(
            answer: Answer,
            request: Request = request,
            frames: NDArray[np.uint8] = frames,
            taken: tuple[str, ...] = taken,
        ) -> dict[str, bool]:
            shown = through(frames) if source == "vae" and through is not None else frames
            large = shown.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
            right = judge(request, look(Clip.of(large, FPS)))
            return {m: right[m.rpartition("/")[2]] for m in taken}

        yield Case(None, judge_frames)
