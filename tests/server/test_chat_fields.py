"""Every field of a chat request is followed, or refused by its name."""

import base64
import io

import openai
import pytest
from PIL import Image
from web_stand_ins import COLOURS, make_assistant, running

from gpt4video.instruction import OPEN
from server.app import create_app


def say(text):
    return [{"role": "user", "content": text}]


def asks(*parts, text="Which colour?"):
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def says(sdk, messages, **more):
    return sdk.chat.completions.create(model="gpt4video", messages=messages, **more)


def b64(data):
    return base64.b64encode(data).decode()


def video(data):
    return {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{b64(data)}"}}


def jpeg(colour, side=64):
    file = io.BytesIO()
    Image.new("RGB", (side, side), COLOURS[colour]).save(file, "JPEG")
    return file.getvalue()


def test_every_sampling_field_reaches_the_language_model(sdk, assistant):
    extra = {"top_k": -1, "min_p": 0.1, "repetition_penalty": 1.2, "min_tokens": 3}
    penalties = {"presence_penalty": 0.5, "frequency_penalty": -0.5}
    says(sdk, say("hello"), temperature=1, stop=["a", "b"], **penalties, extra_body=extra)
    params = assistant.language_model.params[-1]
    assert (params.temperature, params.top_k, params.min_p, params.min_tokens) == (1, 0, 0.1, 3)
    assert (params.repetition_penalty, params.presence_penalty, params.frequency_penalty) == (1.2, 0.5, -0.5)
    assert params.stop == ("a", "b")


def test_fields_that_change_nothing_are_accepted(sdk):
    more = {"tools": [], "logit_bias": {}, "ignore_eos": False, "chat_template_kwargs": {}, "priority": 1}
    answer = says(
        sdk, say("hello"), n=1, logprobs=False, tool_choice="none", user="u", safety_identifier="s",
        metadata={"a": "b"}, response_format={"type": "text"}, extra_body=more,
    )  # fmt: skip
    assert answer.choices[0].message.content


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", "required"),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"1": 5}),
        ("ignore_eos", True),
        ("audio", {"voice": "alloy"}),
        ("response_format", {"type": "json_object"}),
        ("video.wait", False),
        ("video.num_frames", 9),
    ],
)
def test_what_would_change_the_answer_and_is_not_done_is_refused_by_name(http, field, value):
    outer, _, inner = field.partition(".")
    body = {"messages": say("hello"), outer: {inner: value} if inner else value}
    error = http.post("/v1/chat/completions", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", field)


@pytest.mark.parametrize(("field", "value"), [("temperature", "1"), ("stream", "yes"), ("max_tokens", True)])
def test_json_is_read_strictly(http, field, value):
    error = http.post("/v1/chat/completions", json={"messages": say("x"), field: value}).json()["error"]
    assert error["param"] == field


def test_what_was_looked_at_of_a_video_is_told(sdk, red):
    answer = says(sdk, asks(video(red)))
    assert answer.video_inputs == [
        {
            "frames": 4,
            "fps": 4.0,
            "timestamps": [0.125, 0.375, 0.625, 0.875],
            "duration": 1.0,
            "cached": False,
        }
    ]
    assert says(sdk, asks(video(red))).video_inputs[0]["cached"]
    chunks = list(says(sdk, asks(video(red)), stream=True))
    assert chunks[0].video_inputs == says(sdk, asks(video(red))).video_inputs
    assert says(sdk, say("hello")).video_inputs == []


@pytest.mark.parametrize(
    ("wish", "timestamps"),
    [
        ({"num_frames": 2}, [0.25, 0.75]),
        ({"fps": 2}, [0.0, 0.5]),
        ({"fps": 4, "start": 0.5}, [0.5, 0.75]),
        ({"start": 0.5, "end": 0.75}, [0.5, 0.625]),
        ({"num_frames": 100_000}, [0.125, 0.375, 0.625, 0.875]),
    ],
)
def test_the_client_says_which_frames_are_looked_at(sdk, red, wish, timestamps):
    answer = says(sdk, asks(video(red)), extra_body={"media_io_kwargs": {"video": wish}})
    assert answer.video_inputs[0]["timestamps"] == timestamps


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"num_frames": 0}, "media_io_kwargs.video.num_frames"),
        ({"fps": -1}, "media_io_kwargs.video.fps"),
        ({"start": 2, "end": 1}, "media_io_kwargs.video"),
        ({"start": 60}, "media_io_kwargs.video.start"),
    ],
)
def test_frames_that_cannot_be_had_are_named(http, red, wish, param):
    body = {"messages": asks(video(red)), "media_io_kwargs": {"video": wish}}
    response = http.post("/v1/chat/completions", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


FRAMES = [jpeg("blue"), jpeg("blue", 32), jpeg("blue"), jpeg("blue")]
AS_URLS = [f"data:image/jpeg;base64,{b64(frame)}" for frame in FRAMES]


@pytest.mark.parametrize(
    "part",
    [
        {
            "type": "video_url",
            "video_url": {"url": "data:video/jpeg;base64," + ",".join(map(b64, FRAMES))},
        },
        {"type": "video", "video": AS_URLS},
    ],
    ids=["as vLLM", "as Qwen"],
)
def test_a_video_may_come_as_its_frames(sdk, part):
    answer = says(sdk, asks(part), extra_body={"media_io_kwargs": {"video": {"fps": 2}}})
    assert answer.choices[0].message.content == "The video is blue."
    assert answer.video_inputs[0]["timestamps"] == [0.0, 0.5, 1.0, 1.5]


def test_other_dialects_of_parts_are_understood(sdk, red):
    address = video(red)["video_url"]["url"]
    for part in (
        {"type": "video", "video": address},
        {"type": "input_video", "input_video": {"data": b64(red), "format": "mp4"}},
        {"type": "video_url", "video_url": address},
        {"type": "file", "file": {"file_data": "data:video/jpeg;base64," + b64(jpeg("red"))}},
        {"type": "image", "image": "data:image/jpeg;base64," + b64(jpeg("red"))},
    ):
        assert says(sdk, asks(part)).choices[0].message.content == "The video is red.", part["type"]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "video", "video": []}, "video.url"),
        ({"type": "video", "video": ["file-1"]}, "video[0]"),
        ({"type": "video", "video": ["data:video/jpeg;base64,YQ==,YQ=="]}, "video[0]"),
        ({"type": "input_video", "input_video": {}}, "input_video.data"),
        ({"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,YQ==,"}}, "video_url.url"),
        ({"type": "text", "text": "a\0b"}, "text"),
    ],
)
def test_frames_that_are_none_are_named(http, part, param):
    response = http.post("/v1/chat/completions", json={"messages": asks(part)})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == f"messages[0].content[0].{param}"


def test_only_video_as_modality_makes_the_answer_draw(sdk, assistant):
    answer = says(sdk, say("a blue square"), modalities=["video"])
    [drawn] = answer.choices[0].message.videos
    assert (drawn["status"], drawn["prompt"]) == ("completed", "a blue square")
    assert assistant.language_model.params[-1].begin == OPEN
    says(sdk, say("hello"), modalities=["text", "video"])
    assert assistant.language_model.params[-1].begin == ""


def test_where_nothing_can_be_drawn_a_demand_for_video_is_refused():
    assistant = make_assistant()
    assistant.drawer = None
    with running(create_app(assistant)) as url, openai.OpenAI(base_url=f"{url}/v1", api_key="none") as sdk:
        with pytest.raises(openai.BadRequestError) as caught:
            says(sdk, say("a blue square"), modalities=["video"])
        assert caught.value.code == "video_not_available"


def test_a_rate_that_the_drawer_does_not_have_is_refused(http):
    body = {"messages": say("Draw x"), "video": {"fps": 8, "steps": 1}}
    assert http.post("/v1/chat/completions", json=body).status_code == 200
    body["video"]["fps"] = 24
    assert http.post("/v1/chat/completions", json=body).json()["error"]["param"] == "fps"


def test_usage_tells_words_from_videos(sdk, red):
    usage = says(sdk, asks(video(red))).usage
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.prompt_tokens_details.video_tokens == 16
    assert usage.prompt_tokens_details.text_tokens == usage.prompt_tokens - 16


def test_moderation_is_told_where_it_is_asked_for(sdk):
    wish = {"moderation": {"model": "gpt4video", "policy": {"input": {"mode": "score"}}}}
    whole = says(sdk, say("hello"), extra_body=wish).moderation
    assert whole.input.type == "moderation_results"
    assert whole.input.results[0].flagged is False
    assert says(sdk, say("gore"), extra_body=wish).moderation.input.results[0].categories["violence"]
    chunks = list(says(sdk, say("hello"), stream=True, extra_body=wish))
    assert chunks[-1].choices == []
    assert chunks[-1].moderation.model_dump() == whole.model_dump()
    assert says(sdk, say("hello")).moderation is None


def test_answers_carry_a_fingerprint(sdk):
    first, second = says(sdk, say("hello")), says(sdk, say("hello"))
    assert first.system_fingerprint == second.system_fingerprint
    assert first.system_fingerprint.startswith("fp_")
    chunks = list(says(sdk, say("hello"), stream=True))
    assert {chunk.system_fingerprint for chunk in chunks} == {first.system_fingerprint}


def test_a_clip_may_be_judged_beside_words(http, red):
    parts = [{"type": "text", "text": "gore"}, video(red)]
    [result] = http.post("/v1/moderations", json={"input": parts}).json()["results"]
    assert result["flagged"]
    assert result["category_applied_input_types"]["violence"] == ["text"]
