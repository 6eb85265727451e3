"""One line before the drawer, for jobs and chats: everybody is told a place, or that there is none."""

import httpx2
import openai
import pytest
from web_stand_ins import make_assistant, until

from gpt4video.messages import GenerationRequest
from server.service import Service
from server.settings import Settings


@pytest.fixture
def settings():
    return Settings(max_queued_videos=2)


def say(words):
    return [{"role": "user", "content": words}]


def chat(http, words, **more):
    return http.post("/v1/chat/completions", json={"messages": say(words), **more})


def videos_of(sdk, words):
    for chunk in sdk.chat.completions.create(model="gpt4video", messages=say(words), stream=True):
        if video := getattr(chunk.choices[0].delta, "video", None):
            yield video


def test_a_chat_stands_behind_a_job_and_a_job_behind_a_chat(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.2
    job = http.post("/v1/videos", json={"prompt": "first"}).json()
    assert job["queue_position"] == 0
    until(lambda: http.get(f"/v1/videos/{job['id']}").json()["status"] == "in_progress")
    told = videos_of(sdk, "Draw a red circle")
    mine = next(told)
    assert (mine["status"], mine["queue_position"]) == ("queued", 1)
    assert http.get(f"/v1/videos/{mine['id']}").json()["queue_position"] == 1
    until(lambda: http.get(f"/v1/videos/{job['id']}").json()["status"] == "completed")
    following = http.post("/v1/videos", json={"prompt": "third"}).json()
    assert following["queue_position"] == 1
    *_, last = told
    assert (last["status"], last["queue_position"]) == ("completed", None)
    until(lambda: http.get(f"/v1/videos/{following['id']}").json()["status"] == "completed")


def test_a_full_line_is_said_before_the_answer_starts_and_questions_are_answered(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.2
    jobs = [http.post("/v1/videos", json={"prompt": "x"}).json()["id"] for _ in range(2)]
    for wish, stream in (("Draw a star", False), ("Just draw a star", False), ("Just draw a star", True)):
        full = chat(http, wish, stream=stream)
        assert (full.status_code, full.json()["error"]["code"]) == (503, "queue_full")
        assert int(full.headers["retry-after"]) > 0
    with pytest.raises(openai.APIError) as caught:  # words have left: now the stream can only end
        list(videos_of(sdk, "Draw a star"))
    assert caught.value.code == "queue_full"
    assert chat(http, "How many?").status_code == 200
    assert chat(http, "Draw a star", modalities=["text"]).status_code == 200
    http.delete(f"/v1/videos/{jobs[1]}")
    assert chat(http, "Draw a star").status_code == 200
    assert httpx2.get(f"{http.base_url}/v1/videos").json()["data"][0]["status"] == "completed"


async def test_a_job_that_is_cancelled_before_it_began_gives_its_place_back(tmp_path):
    service = Service(make_assistant(), Settings(data_dir=tmp_path, max_queued_videos=1))
    await service.open()
    for _ in range(3):
        record = await service.jobs.submit(service.assistant, GenerationRequest("x"), "local")
        assert record.queue_position == 0
        cancelled = await service.jobs.cancel(record.id, "local")
        assert (cancelled.status, cancelled.error["code"]) == ("failed", "cancelled")
    await service.close()


def test_who_leaves_gives_the_place_back(http, assistant):
    assistant.drawer.step_seconds = 0.2
    for _ in range(3):
        body = {"messages": say("Draw a red circle"), "stream": True}
        with http.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if '"status":"in_progress"' in line:
                    break

    def first():
        job = http.post("/v1/videos", json={"prompt": "x"}).json()
        http.delete(f"/v1/videos/{job.get('id')}")
        return job.get("queue_position") == 0

    until(first)
