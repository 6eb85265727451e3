"""Stages: told with their times and facts to whoever listens, and to nobody else."""

import asyncio

import pytest

from gpt4video.errors import VideoError
from gpt4video.messages import user
from gpt4video.stages import listener, stage, tell


@pytest.fixture
def heard():
    stages = []
    token = listener.set(stages.append)
    yield stages
    listener.reset(token)


def test_nobody_has_to_listen():
    with stage("encode") as facts:
        facts["tokens"] = 3
    tell("queue", 1.0, 2.0)


def test_a_stage_is_told_when_it_ends_with_what_was_learnt_inside(heard):
    with stage("decode", backend="pyav") as facts:
        assert not heard
        facts["frames"] = 8
    (told,) = heard
    assert (told.name, dict(told.facts)) == ("decode", {"outcome": "ok", "backend": "pyav", "frames": 8})
    assert 0 <= told.seconds < 60


def test_a_stage_that_breaks_is_told_by_its_code(heard):
    for error, outcome in (
        (VideoError("too long", code="video_too_long"), "video_too_long"),
        (RuntimeError("a secret"), "error"),
        (asyncio.CancelledError(), "cancelled"),
    ):
        with pytest.raises(type(error)), stage("decode"):
            raise error
        assert heard.pop().facts["outcome"] == outcome


async def test_an_answer_tells_its_stages(heard):
    from tests.server.web_stand_ins import clip_of, make_assistant

    assistant = make_assistant(step_seconds=0)
    question = (user(clip_of("red"), "draw a red circle"),)
    async for _ in assistant.respond(question):
        pass
    async for _ in assistant.respond(question):
        pass
    names = [stage.name for stage in heard]
    assert {"safety", "encode", "diffusion_queue", "diffusion_step", "diffusion"} <= set(names)
    assert [s.facts["cached"] for s in heard if s.name == "encode"] == [False, True]
    assert names.count("diffusion_step") == 2 * 8 and names.count("diffusion") == 2
    doors = {stage.facts["door"] for stage in heard if stage.name == "safety"}
    assert doors == {"question", "posted_video", "instruction", "drawn_video"}
    assert "circle" not in str(heard)
