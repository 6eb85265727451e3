"""`/v1/videos` through the official SDK."""

import io

import openai
import pytest
from web_stand_ins import until

from gpt4video.video import open_video, probe

# openai marks its Videos API deprecated; the shape lives on as the open standard served here.
pytestmark = pytest.mark.filterwarnings("ignore:.*Sora API.*:DeprecationWarning")


def test_a_job_is_created_polled_and_fetched(sdk):
    video = sdk.videos.create_and_poll(prompt="a red circle", poll_interval_ms=20)
    assert (video.status, video.progress, video.size, video.seconds) == ("completed", 100, "64x64", "1")
    data = sdk.videos.download_content(video.id).read()
    info = probe(data)
    assert (info.width, info.height, info.duration) == (64, 64, 1.0)
    assert open_video(data).frames[0, 2, 2, 0] > 180


def test_options_come_as_strings_or_as_json(sdk, http):
    video = sdk.videos.create(prompt="x", seconds="2", size="128x128", extra_body={"seed": 3})
    assert (video.seconds, video.size, video.seed) == ("2", "128x128", 3)
    made = http.post("/v1/videos", json={"prompt": "x", "seconds": 2, "num_inference_steps": 4}).json()
    assert (made["seconds"], made["num_inference_steps"], made["status"]) == ("2", 4, "queued")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": "x", "size": "63x63"}, "size", "invalid_value"),
        ({"prompt": "x", "size": "large"}, "size", "invalid_value"),
        ({"prompt": "x", "seconds": "60"}, "seconds", "invalid_value"),
        ({"prompt": " "}, "prompt", "invalid_value"),
        ({}, "prompt", "missing_required_parameter"),
        ({"prompt": "gore"}, "prompt", "moderation_blocked"),
        ({"prompt": "x", "input_reference": "file-1"}, "input_reference", "unsupported_parameter"),
    ],
)
def test_what_cannot_be_drawn_is_a_400_and_no_job(http, fields, param, code):
    for sent in ({"json": fields}, {"data": fields, "files": {"more": b""}}):
        response = http.post("/v1/videos", **sent)
        error = response.json()["error"]
        assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert http.get("/v1/videos").json()["data"] == []


def test_jobs_take_turns_and_say_their_place(sdk, assistant):
    assistant.drawer.step_seconds = 0.05
    jobs = [sdk.videos.create(prompt=f"video {i}") for i in range(3)]
    assert jobs[2].queue_position == 2
    assert sdk.videos.with_raw_response.retrieve(jobs[2].id).headers["openai-poll-after-ms"]
    seen = []
    until(lambda: seen.append(sdk.videos.retrieve(jobs[0].id)) or seen[-1].status == "completed")
    progress = [video.progress for video in seen]
    assert progress == sorted(progress)
    assert any(video.status == "in_progress" and video.preview_url for video in seen)
    until(lambda: sdk.videos.retrieve(jobs[2].id).status == "completed")


def test_unfinished_content_is_a_404_that_is_not_repeated(sdk, assistant):
    assistant.drawer.step_seconds = 0.2
    job = sdk.videos.create(prompt="slow")
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.videos.download_content(job.id)
    assert caught.value.code == "video_not_ready"


def test_deleting_a_running_job_stops_it(sdk, assistant):
    assistant.drawer.step_seconds = 0.05
    job, following = sdk.videos.create(prompt="one"), sdk.videos.create(prompt="two")
    until(lambda: sdk.videos.retrieve(job.id).status == "in_progress")
    assert sdk.videos.delete(job.id).deleted
    assert assistant.drawer.stopped == 1
    with pytest.raises(openai.NotFoundError):
        sdk.videos.retrieve(job.id)
    until(lambda: sdk.videos.retrieve(following.id).status == "completed")


def test_deleting_a_finished_video_removes_its_file(sdk, url):
    video = sdk.videos.create_and_poll(prompt="x", poll_interval_ms=20)
    assert sdk.videos.delete(video.id).object == "video.deleted"
    with pytest.raises(openai.NotFoundError):
        sdk.videos.download_content(video.id)


def test_lists_go_page_by_page_in_both_orders(sdk):
    made = [sdk.videos.create(prompt=str(i)).id for i in range(5)]
    assert [video.id for video in sdk.videos.list(limit=2)] == made[::-1]
    assert [video.id for video in sdk.videos.list(limit=2, order="asc")] == made


def test_content_comes_in_ranges(sdk, http):
    video = sdk.videos.create_and_poll(prompt="x", poll_interval_ms=20)
    whole = http.get(f"/v1/videos/{video.id}/content")
    part = http.get(f"/v1/videos/{video.id}/content", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-disposition"].startswith("inline")


def test_a_remix_keeps_the_noise_and_names_its_source(sdk):
    source = sdk.videos.create_and_poll(prompt="a red circle", poll_interval_ms=20, extra_body={"seed": 42})
    remix = sdk.videos.remix(source.id, prompt="a blue circle")
    assert remix.remixed_from_video_id == source.id
    done = sdk.videos.poll(remix.id, poll_interval_ms=20)
    assert (done.status, done.seed) == ("completed", 42)


def test_a_full_queue_is_a_503_with_a_time_to_come_back(http, assistant, settings):
    assistant.drawer.step_seconds = 0.5
    for _ in range(settings.max_queued_videos):
        assert http.post("/v1/videos", json={"prompt": "x"}).status_code == 200
    full = http.post("/v1/videos", json={"prompt": "x"})
    assert (full.status_code, full.json()["error"]["code"]) == (503, "queue_full")
    assert int(full.headers["retry-after"]) > 0


async def test_the_asynchronous_client_draws_too(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as sdk:
        video = await sdk.videos.create_and_poll(prompt="x", poll_interval_ms=20)
        content = await sdk.videos.download_content(video.id)
        assert probe(io.BytesIO(await content.aread()).getvalue()).width == 64
