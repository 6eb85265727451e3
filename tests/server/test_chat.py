"""`/v1/chat/completions` through the official SDK, streamed and whole."""

import asyncio
import base64
import io
import json

import httpx2
import openai
import pytest
from PIL import Image
from web_stand_ins import clip_of, make_assistant, mp4_of, running, until

from server.app import create_app

# openai marks its Videos API deprecated; the shape lives on as the open standard served here.
pytestmark = pytest.mark.filterwarnings("ignore:.*Sora API.*:DeprecationWarning")


def data_url(data: bytes, mime: str = "video/mp4") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def posted(data: bytes, text: str = "Which colour?") -> list[dict]:
    part = {"type": "video_url", "video_url": {"url": data_url(data)}}
    return [{"role": "user", "content": [part, {"type": "text", "text": text}]}]


def says(sdk, messages, **more):
    return sdk.chat.completions.create(model="gpt4video", messages=messages, **more)


def say(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def test_a_posted_video_is_answered(sdk, red):
    answer = says(sdk, posted(red))
    assert answer.choices[0].message.content == "The video is red."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == 18
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_picture_is_a_clip_of_one_frame(sdk):
    file = io.BytesIO()
    Image.fromarray(clip_of("blue").frames[0]).save(file, "PNG")
    part = {"type": "image_url", "image_url": {"url": data_url(file.getvalue(), "image/png")}}
    answer = says(sdk, [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}])
    assert answer.choices[0].message.content == "The video is blue."


def test_a_streamed_answer_is_the_whole_one_in_pieces(sdk, red):
    chunks = list(says(sdk, posted(red), stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    words = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert words == ["The", " video", " is", " red."]
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 22
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_stream_ends_with_done_and_is_an_event_stream(http):
    body = {"messages": say("hello"), "stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)
    assert "usage" not in json.loads(lines[0][6:])


def test_sampling_reaches_the_language_model(sdk, assistant):
    says(sdk, say("hello"), max_completion_tokens=1, temperature=0.5, top_p=0.9, seed=3, stop="x")
    params = assistant.language_model.params[-1]
    assert (params.max_tokens, params.temperature, params.top_p, params.seed, params.stop) == (
        1,
        0.5,
        0.9,
        3,
        ("x",),
    )


def test_the_longest_length_ends_an_answer(sdk, red):
    assert says(sdk, posted(red), max_tokens=2).choices[0].finish_reason == "length"


def test_a_drawn_video_grows_and_becomes_a_file(sdk, http):
    chunks = list(says(sdk, say("Draw a red circle"), stream=True, extra_body={"video": {"seed": 11}}))
    told = [c.choices[0].delta.video for c in chunks if getattr(c.choices[0].delta, "video", None)]
    assert [video["status"] for video in told] == ["queued", *["in_progress"] * 8, "completed"]
    progress = [video["progress"] for video in told]
    assert progress == sorted(progress)
    assert progress[-2] <= 99
    assert progress[-1] == 100
    assert told[1]["preview_url"].startswith("data:image/jpeg;base64,")
    assert told[-1]["preview_url"] is None
    assert (told[-1]["prompt"], told[-1]["seed"], told[-1]["size"], told[-1]["seconds"]) == (
        "a red circle",
        11,
        "64x64",
        "1",
    )
    assert http.get(told[-1]["url"]).content[4:8] == b"ftyp"
    assert sdk.videos.retrieve(told[-1]["id"]).status == "completed"
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert "<" not in text
    assert "Here is a red circle." in text


def test_a_whole_answer_lists_its_videos(sdk):
    message = says(sdk, say("Draw a blue square")).choices[0].message
    assert [video["status"] for video in message.videos] == ["completed"]
    assert message.videos[0]["url"].endswith("/content")
    assert says(sdk, say("hello")).choices[0].message.videos == []


def test_modalities_without_video_draw_nothing(sdk, assistant):
    message = says(sdk, say("Draw a blue square"), modalities=["text"]).choices[0].message
    assert message.videos == []
    assert assistant.drawer.steps == 0
    wrong = {"video": {"size": "63x63"}}
    assert says(sdk, say("hello"), modalities=["text"], extra_body=wrong).choices[0].message.content


def test_a_refused_question_is_an_answer_that_says_so(sdk, assistant):
    [choice] = says(sdk, say("Show me gore")).choices
    assert choice.finish_reason == "content_filter"
    assert choice.message.content == "Nothing violent is drawn here."
    assert assistant.language_model.heard == []


def test_a_drawing_that_breaks_is_a_failed_video_and_not_a_failed_answer(sdk, http, assistant):
    assistant.drawer.breaks = True
    message = says(sdk, say("Draw a red circle")).choices[0].message
    [video] = message.videos
    assert (video["status"], video["error"]["code"]) == ("failed", "generation_failed")
    assert message.content.strip() == "Here is a red circle."
    assert http.get(f"/v1/videos/{video['id']}/content").status_code == 404
    job = sdk.videos.create_and_poll(prompt="a red circle", poll_interval_ms=20)
    assert (job.status, job.error.code) == ("failed", "generation_failed")


def test_an_assistant_without_a_drawer_answers_and_refuses_jobs(red):
    assistant = make_assistant()
    assistant.drawer = None
    with running(create_app(assistant)) as url, httpx2.Client(base_url=url) as http:
        answer = http.post("/v1/chat/completions", json={"messages": posted(red)})
        assert answer.json()["choices"][0]["message"]["content"] == "The video is red."
        assert http.post("/v1/videos", json={"prompt": "x"}).json()["error"]["code"] == "video_not_available"
        assert http.get("/v1/models").json()["data"][0]["capabilities"]["output"] == ["text"]
        drawn = http.post("/v1/chat/completions", json={"messages": say("Draw a red circle")}).json()
        [video] = drawn["choices"][0]["message"]["videos"]
        assert video["error"]["code"] == "video_not_available"


def test_an_earlier_drawing_is_remembered_by_its_id(sdk, assistant):
    first = says(sdk, say("Draw a red circle")).choices[0].message
    told = [
        *say("Draw a red circle"),
        {"role": "assistant", "content": first.content, "videos": [{"id": first.videos[0]["id"]}]},
        *say("the same, but blue"),
    ]
    second = says(sdk, told).choices[0].message
    assert second.videos[0]["prompt"] == "a red circle blue"
    # Where the id is no longer known, the prompt that came with it stands in.
    told[1]["videos"] = [{"id": "video_gone", "prompt": "a green star"}]
    assert says(sdk, told).choices[0].message.videos[0]["prompt"] == "a green star blue"
    told[1]["videos"] = [{"id": "video_gone"}]
    with pytest.raises(openai.BadRequestError) as caught:
        says(sdk, told)
    assert (caught.value.code, caught.value.param) == ("video_not_found", "messages[1].videos[0]")


def test_what_was_not_drawn_is_not_remembered_as_drawn(sdk, assistant):
    assistant.drawer.breaks = True
    broken = says(sdk, say("Draw a red circle")).choices[0].message.videos[0]
    [blocked] = says(sdk, say("Draw something worse")).choices[0].message.videos
    assert [(v["status"], v["prompt"]) for v in (broken, blocked)] == [
        ("failed", "a red circle"),
        ("failed", None),
    ]
    for videos in ([broken], [{"id": broken["id"]}], [{**broken, "id": "video_gone"}], [blocked]):
        told = [
            *say("Draw it"),
            {"role": "assistant", "content": "Sorry.", "videos": videos},
            *say("how many?"),
        ]
        assert says(sdk, told).choices[0].message.content == "I see 3 messages and 0 drawn videos."


def test_a_drawn_video_can_be_posted(sdk):
    drawn = says(sdk, say("Draw a blue square")).choices[0].message.videos[0]
    part = {"type": "video_url", "video_url": {"url": drawn["id"]}}
    answer = says(sdk, [{"role": "user", "content": [part, {"type": "text", "text": "Which colour?"}]}])
    assert answer.choices[0].message.content == "The video is blue."


def test_a_posted_file_can_be_named_in_every_way(sdk, red):
    id = sdk.files.create(file=("red.mp4", red), purpose="user_data").id
    for part in (
        {"type": "file", "file": {"file_id": id}},
        {"type": "video_url", "video_url": {"url": id}},
        {"type": "file", "file": {"file_data": data_url(red), "filename": "red.mp4"}},
        {"type": "file", "file": {"file_data": base64.b64encode(red).decode()}},
    ):
        answer = says(sdk, [{"role": "user", "content": [part, {"type": "text", "text": "Which colour?"}]}])
        assert answer.choices[0].message.content == "The video is red.", part["type"]


async def test_the_asynchronous_client_streams_too(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as sdk:
        stream = await sdk.chat.completions.create(
            model="gpt4video", messages=say("Draw a red circle"), stream=True
        )
        videos = [
            c.choices[0].delta.video async for c in stream if getattr(c.choices[0].delta, "video", None)
        ]
        assert videos[-1]["status"] == "completed"
        drawn = await (await sdk.videos.download_content(videos[-1]["id"])).aread()
        assert drawn[4:8] == b"ftyp"


def test_leaving_a_stream_stops_the_words(http, assistant):
    with http.stream(
        "POST", "/v1/chat/completions", json={"messages": say("forever"), "stream": True}
    ) as response:
        lines = response.iter_lines()
        next(lines)
        until(lambda: assistant.language_model.open == 1)
    until(lambda: assistant.language_model.open == 0)


def test_leaving_a_stream_stops_the_drawing(http, assistant):
    assistant.drawer.step_seconds = 0.1
    body = {"messages": say("Draw a red circle"), "stream": True, "video": {"steps": 50}}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if '"in_progress"' in line:
                break
    until(lambda: assistant.drawer.stopped == 1)
    assert assistant.drawer.steps < 10
    until(lambda: http.get("/v1/videos").json()["data"][0]["status"] == "failed")
    [video] = http.get("/v1/videos").json()["data"]
    assert video["error"]["code"] == "cancelled"


def test_leaving_a_whole_answer_stops_the_words(http, assistant):
    with pytest.raises(httpx2.ReadTimeout):
        http.post("/v1/chat/completions", json={"messages": say("forever")}, timeout=0.5)
    until(lambda: assistant.language_model.open == 0)
    assert assistant.language_model.closed == 1


def test_silence_is_filled_with_comments(http, assistant):
    assistant.drawer.step_seconds = 1.0
    body = {"messages": say("Draw a red circle"), "stream": True, "video": {"steps": 1}}
    with http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert ": keep-alive" in list(response.iter_lines())


def test_what_breaks_after_the_first_word_ends_the_stream_with_an_error(sdk, http):
    with pytest.raises(openai.APIError) as caught:
        list(says(sdk, say("break"), stream=True))
    assert caught.value.code == "internal_error"
    assert "secret" not in caught.value.message
    assert says(sdk, say("hello")).choices[0].message.content


def test_a_conversation_over_the_context_is_a_400_before_the_stream(sdk):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            says(sdk, say("word " * 600), stream=stream)
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_what_is_far_too_long_is_told_before_a_video_is_decoded(sdk, http):
    with pytest.raises(openai.BadRequestError) as caught:
        says(sdk, posted(b"no video at all", "word " * 100_000))
    assert caught.value.code == "context_length_exceeded"


async def test_many_conversations_go_on_at_once(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as sdk:
        answers = await asyncio.gather(
            *(
                sdk.chat.completions.create(model="gpt4video", messages=posted(mp4_of(colour)))
                for colour in ("red", "green", "blue") * 4
            )
        )
    assert [a.choices[0].message.content for a in answers] == [
        f"The video is {colour}." for colour in ("red", "green", "blue") * 4
    ]
