"""The whole evaluation, with stand-ins that know everything, or nothing."""

import asyncio
from dataclasses import replace

import numpy as np

from benchmarks.quality import second_renderer
from gpt4video.answer import Answer
from gpt4video.assistant import Assistant
from gpt4video.evaluation.drawings import COUNTS
from gpt4video.evaluation.play import Bench, EvaluationConfig, Need, look
from gpt4video.evaluation.tasks import MEASURES, TASKS, evaluate
from gpt4video.interfaces import DrawerLimits, Drawing, Verdict
from gpt4video.messages import Piece, Posted, Text
from gpt4video.shapes.judge import judge
from gpt4video.shapes.language.describe import full_request, prompt, request_of
from gpt4video.shapes.language.refer import canonical
from gpt4video.shapes.render import render
from gpt4video.shapes.world import DRAWN, Scene, Thing, sample_scene
from gpt4video.video import Clip, Sampling


def key(conversation):
    """What tells conversations apart: their words and the hashes of their clips."""
    parts = [part for message in conversation for part in message.parts]
    return tuple(
        p.text if isinstance(p, Text) else p.clip.hash if isinstance(p, Posted) else p.prompt for p in parts
    )


class Eyes:
    sampling = Sampling("uniform", num_frames=3)

    async def encode(self, clip):
        return clip.hash


class Crib:
    """Says what its book says."""

    context_length = 100

    def __init__(self):
        self.book = {}

    def check(self, conversation):
        pass

    async def stream(self, conversation, videos, params):
        await asyncio.sleep(0)
        yield Piece(self.book.get(key(conversation), ""), "stop")


class Pen:
    """Draws what every prompt of its book stands for: the renderer's own frames."""

    limits = DrawerLimits((64, 64), 2.0, 8.0, 2)

    def __init__(self):
        self.book = {}

    def check(self, options):
        pass

    async def draw(self, request):
        frames = self.book.get(request.prompt, np.zeros((16, 64, 64, 3), np.uint8))
        yield Drawing(Clip.of(frames, 8.0), 0)


class Open:
    """Lets everything pass."""

    def text(self, text, door):
        return Verdict(True)

    def clip(self, clip, door):
        return Verdict(True)


def bench(only=(), n=2, drawer=None, reconstruct=None):
    config = EvaluationConfig(n=n, only=only, together=4)
    return Bench(Assistant(Eyes(), Crib(), drawer or Pen(), Open()), config, reconstruct)


LANGUAGE = (
    "qa/*",
    "decide",
    "edit/drawn",
    "edit/posted/instruction",
    "refuse/*",
    "decline/*",
    "chat/*",
    "wish/*",
)


def test_who_knows_all_answers_scores_one():
    knowing = bench(LANGUAGE)
    for task in TASKS.values():
        if wanted := task.wanted(knowing.config):
            for case in task.cases(knowing, Need(wanted)):
                knowing.assistant.language_model.book[key(case.ask)] = case.reply
    measures = evaluate(knowing)
    assert len(measures) > 15
    assert {name: m.value for name, m in measures.items()} == dict.fromkeys(measures, 1.0)
    assert {m.n for m in measures.values()} == {2}


def test_who_says_nothing_scores_zero():
    wanted = [w for w in LANGUAGE if w != "decide"]  # saying nothing is no drawing, which is often right
    measures = evaluate(bench((*wanted, "baseline/qa/*")))
    assert {name: m.value for name, m in measures.items()} == dict.fromkeys(measures, 0.0)


def test_baselines_show_other_clips_to_the_same_questions():
    names = ("qa/all", "baseline/qa/no_video", "baseline/qa/shuffled_videos", "baseline/qa/one_frame")
    asked = bench(names)
    cases = list(TASKS["questions"].cases(asked, Need(dict.fromkeys(names, 2))))
    words = [case.ask[0].text for case in cases]
    clips = [case.ask[0].clips[0] for case in cases]
    assert len(cases) == 8 and words[:4] == [words[0]] * 4 and words[4:] == [words[4]] * 4
    assert len({clip.hash for clip in clips[4:]}) == 4
    assert clips[6].hash == clips[0].hash and len(clips[7].frames) == 1


def test_the_oracle_is_measured_on_renders_and_behind_the_vae():
    ruined = bench(("oracle/*",), n=3, reconstruct=lambda frames: np.zeros_like(frames))
    measures = evaluate(ruined)
    assert measures["oracle/renders/everything"].value == 1.0
    assert measures["oracle/vae/everything"].value == 0.0
    assert not list(evaluate(bench(("oracle/vae/*",)))), "there is nothing to go through"


def test_drawings_are_judged_by_what_their_mp4_shows():
    pen = Pen()
    drawn = bench(("draw/one/*", "baseline/draw/one/*"), drawer=pen)
    name = "draw/one"
    for index in range(20):
        # The same samples as the task makes, with the scene that goes with each.
        rng = drawn.rng(name, index)
        scene = canonical(sample_scene(rng, "test", replace(DRAWN, counts=COUNTS["one"])))
        pen.book[prompt(request_of(scene, rng))] = render(scene)
    measures = evaluate(drawn)
    assert measures["draw/one/everything"].value == 1.0 and measures["draw/one/color"].value == 1.0
    assert measures["baseline/draw/one/shuffled_prompts"].value == 0.0
    blank = evaluate(bench(("draw/one/everything",)))
    assert blank["draw/one/everything"].value == 0.0


def test_a_measure_does_not_depend_on_what_else_is_measured():
    def asked(*only):
        one = bench(only)
        return [c.ask for c in TASKS["questions"].cases(one, Need(TASKS["questions"].wanted(one.config)))]

    alone = {key(c) for c in asked("qa/color")}
    assert len(alone) == 2 and alone <= {key(c) for c in asked("qa/color", "qa/motion", "qa/all")}


def test_every_measure_has_one_name():
    assert len(set(MEASURES)) == len(MEASURES)


def test_the_second_renderer_draws_what_the_oracle_reads():
    asked = bench(n=3)
    cases = list(second_renderer.cases(asked, 3))
    assert [c.judge(Answer(c.reply))["qa/second_renderer"] for c in cases] == [True] * 3
    scene = Scene((Thing("red", "square", "large", "right", "fast"),), "white")
    clip = second_renderer.shot(asked, second_renderer.as_that_program_moves(scene), 1)
    assert len(clip.frames) == 3
    red = [(f[..., 0].astype(int) - f[..., 2] > 80) for f in clip.frames]
    middles = [np.nonzero(r)[1].mean() for r in red]
    assert middles[0] < middles[1] < middles[2]


def test_look_reads_through_the_mp4():
    scene = Scene((Thing("red", "square", "large", "still"),), "white")
    assert judge(full_request(scene), look(Clip.of(render(scene), 8.0)))["everything"]
