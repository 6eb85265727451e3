"""`/v1/videos` through the official SDK."""

import io
import json
from contextlib import aclosing, suppress

import httpx2
import openai
import pytest
from PIL import Image
from web_stand_ins import make_assistant, running, until

from gpt4video.interfaces import Step
from gpt4video.video import open_video, probe
from server import drawings
from server.app import create_app

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


def test_a_job_tells_its_first_step_at_once(http, assistant, monkeypatch):
    draw = assistant.drawer._draw

    async def begun(request):  # as real drawers tell that their turn has come
        yield Step(0, 4)
        async with aclosing(draw(request)) as steps:
            async for step in steps:
                yield step

    monkeypatch.setattr(assistant.drawer, "_draw", begun)
    monkeypatch.setattr(drawings, "TELL_SECONDS", 1000.0)
    assistant.drawer.step_seconds = 0.3
    job = http.post("/v1/videos", json={"prompt": "x", "steps": 4}).json()
    until(lambda: http.get(f"/v1/videos/{job['id']}").json()["progress"] == 25)


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
    assistant.drawer.step_seconds = 30
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


def test_a_picture_and_a_sheet_of_the_video_are_there_too(sdk, http):
    video = sdk.videos.create_and_poll(prompt="a red circle", poll_interval_ms=20)
    for variant, width in (("thumbnail", 64), ("spritesheet", 320)):
        content = sdk.videos.download_content(video.id, variant=variant)
        assert content.response.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(content.read())) as image:
            assert image.width == width
    wrong = http.get(f"/v1/videos/{video.id}/content", params={"variant": "gif"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "variant")


def test_what_the_client_has_already_is_not_sent_again(sdk, http):
    address = f"/v1/videos/{sdk.videos.create_and_poll(prompt='x', poll_interval_ms=20).id}/content"
    whole = http.get(address)
    assert http.get(address, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert http.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    head = http.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(
    ("wanted", "status", "kept"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=-4", 206, slice(-4, None)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=4-7,9-12", 200, slice(None)),
        ("bytes=7-4", 200, slice(None)),
        ("bytes=x", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=99999999-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_a_range_is_met_ignored_or_refused_in_one_shape(drawn, wanted, status, kept):
    http, address = drawn
    part = http.get(address, headers={"Range": wanted})
    assert part.status_code == status
    if kept is None:
        assert part.json()["error"]["code"] == "range_not_satisfiable"
        assert part.headers["content-range"].startswith("bytes */")
    else:
        assert part.content == http.get(address).content[kept]


@pytest.fixture(scope="module")
def drawn():
    """One server and the address of a drawing there."""
    with running(create_app(make_assistant())) as url, httpx2.Client(base_url=url, timeout=20) as http:
        id = http.post("/v1/videos", json={"prompt": "x"}).json()["id"]
        until(lambda: http.get(f"/v1/videos/{id}").json()["status"] == "completed")
        yield http, f"/v1/videos/{id}/content"


def test_a_job_that_is_cancelled_is_failed_and_says_so(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.05
    job = sdk.videos.create(prompt="one", extra_body={"steps": 50})
    until(lambda: sdk.videos.retrieve(job.id).status == "in_progress")
    cancelled = http.post(f"/v1/videos/{job.id}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert assistant.drawer.stopped == 1
    assert sdk.videos.poll(job.id, poll_interval_ms=20).error.code == "cancelled"
    assert http.post("/v1/videos/video_1/cancel").status_code == 404


def test_a_video_of_a_chat_that_is_cancelled_stops_and_the_answer_ends(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.1
    messages = [{"role": "user", "content": "Draw a red circle"}]
    videos, reason = [], None
    for chunk in sdk.chat.completions.create(
        model="gpt4video", messages=messages, stream=True, extra_body={"video": {"steps": 50}}
    ):
        reason = chunk.choices[0].finish_reason or reason
        if video := getattr(chunk.choices[0].delta, "video", None):
            videos.append(video)
            if len(videos) == 2:
                assert http.post(f"/v1/videos/{video['id']}/cancel").json()["status"] == "failed"
    assert (videos[-1]["status"], videos[-1]["error"]["code"], reason) == ("failed", "cancelled", "stop")
    assert assistant.drawer.stopped == 1 and assistant.drawer.steps < 50


def test_cancelling_what_is_done_changes_nothing(sdk, http):
    done = sdk.videos.create_and_poll(prompt="x", poll_interval_ms=20)
    assert http.post(f"/v1/videos/{done.id}/cancel").json()["status"] == "completed"


def told(http, id):
    """The events of one video, to the end."""
    with http.stream("GET", f"/v1/videos/{id}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        text = "".join(response.iter_text())
    blocks = [block.split("\n") for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_job_can_be_watched_instead_of_polled(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.1
    job = sdk.videos.create(prompt="a red circle", extra_body={"steps": 12})
    events = told(http, job.id)
    names = [name for name, _ in events]
    assert names[0] == "snapshot" and names[-1] == "end"
    assert {"status", "progress", "preview"} <= set(names)
    progress = [video["progress"] for name, video in events if name != "preview"]
    assert progress == sorted(progress)
    assert (events[-1][1]["status"], events[-1][1]["progress"]) == ("completed", 100)
    assert [name for name, _ in told(http, job.id)] == ["snapshot", "end"]


def test_watching_ends_when_the_job_is_deleted(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.1
    job = sdk.videos.create(prompt="x", extra_body={"steps": 50})
    with http.stream("GET", f"/v1/videos/{job.id}/events") as response:
        text = ""
        for piece in response.iter_text():
            text += piece
            if "event: snapshot" in text and "event: end" not in text:
                with suppress(openai.NotFoundError):
                    sdk.videos.delete(job.id)
    assert json.loads(text.split("event: end\ndata: ")[1])["deleted"]


def test_how_long_it_takes_is_told(sdk, http, assistant):
    assistant.drawer.step_seconds = 0.1
    job = sdk.videos.create(prompt="x", extra_body={"steps": 10})
    seen = []
    until(lambda: seen.append(sdk.videos.retrieve(job.id)) or seen[-1].eta_seconds is not None)
    assert 0 < seen[-1].eta_seconds < 60
    answer = sdk.videos.with_raw_response.retrieve(job.id)
    assert 250 <= int(answer.headers["openai-poll-after-ms"]) <= 5000
    done = sdk.videos.poll(job.id, poll_interval_ms=20)
    assert done.inference_time_s > 0.5 and done.eta_seconds is None


@pytest.mark.parametrize("kind", ["edits", "extensions", "characters"])
def test_what_is_not_done_here_is_a_404_that_says_so(http, kind):
    response = http.post(f"/v1/videos/{kind}", data={"prompt": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unsupported_endpoint")


@pytest.mark.parametrize("name", ["negative_prompt", "num_frames", "width", "n"])
def test_fields_of_other_servers_are_refused_by_name(http, name):
    error = http.post("/v1/videos", json={"prompt": "x", name: 3}).json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", name)
