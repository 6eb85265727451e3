"""Questions about clips that another program drew: other outlines, palettes, paces and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from gpt4video.evaluation.play import Bench, Case
from gpt4video.evaluation.questions import right
from gpt4video.messages import user
from gpt4video.shapes.language.questions import sample_question
from gpt4video.shapes.world import POSTED, Scene, sample_scene
from gpt4video.video import Clip, open_video
from tests.second_renderer import PACES, write_clip

MEASURE = "qa/second_renderer"
N = 500


def as_that_program_moves(scene: Scene) -> Scene:
    """The scene with the other program's paces, so that what is true of it is true of the clip."""
    things = [replace(t, pace=PACES[t.speed]) if t.travels and not scene.passes else t for t in scene.things]
    return replace(scene, things=tuple(things))


def description(scene: Scene) -> dict[str, object]:
    """A scene in the plain words that the other program reads."""
    things = [asdict(thing) for thing in scene.things]
    return {"background": scene.background, "duration": scene.duration, "things": things}


def shot(bench: Bench, scene: Scene, seed: int) -> Clip:
    """The other program's file, as the encoder sees it."""
    return open_video(write_clip(description(scene), seed), bench.assistant.encoder.sampling)


def cases(bench: Bench, n: int = N) -> Iterator[Case]:
    """One question a clip, of kinds as they come."""
    for index in range(n):
        rng = bench.rng(MEASURE, index)
        scene = as_that_program_moves(sample_scene(rng, bench.config.part, POSTED))
        qa = sample_question(scene, rng, bench.config.part)
        assert qa is not None, "every scene has a background to ask for"
        clip = shot(bench, scene, int(rng.integers(2**31)))
        yield Case((user(clip, qa.question),), right(qa, MEASURE), qa.answer)
