"""Chat completions, models and moderations as the official SDK calls them, blocking and asynchronous."""

import base64

import openai
import pytest
from web_stand_ins import mp4_of, until

from tests.server.conformance.both import Opened, all_of, it


def say(text):
    return [{"role": "user", "content": text}]


def posted(url, text="Which colour?"):
    part = {"type": "video_url", "video_url": {"url": url}}
    return [{"role": "user", "content": [part, {"type": "text", "text": text}]}]


def chat(sdk, messages, **more):
    return it(sdk.chat.completions.create(model="gpt4video", messages=messages, **more))


RED = "data:video/mp4;base64," + base64.b64encode(mp4_of("red")).decode()


async def test_models_are_listed_and_retrieved(sdk):
    [model] = await all_of(sdk.models.list())
    assert await it(sdk.models.retrieve(model.id)) == model
    with pytest.raises(openai.NotFoundError) as caught:
        await it(sdk.models.retrieve("gpt-9"))
    assert caught.value.code == "model_not_found"


async def test_a_whole_answer(sdk):
    answer = await chat(sdk, posted(RED))
    assert answer.object == "chat.completion" and answer.model == "gpt4video"
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "The video is red.")
    assert (choice.finish_reason, choice.message.refusal, choice.logprobs) == ("stop", None, None)
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens


async def test_a_stream_adds_up_to_the_whole_answer(sdk):
    chunks = await all_of(chat(sdk, posted(RED), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "The video is red."
    assert (chunks[0].choices[0].delta.role, chunks[-1].choices[0].finish_reason) == ("assistant", "stop")
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}


async def test_usage_comes_last_in_a_stream_that_asks_for_it(sdk):
    wish = {"include_usage": True}
    chunks = await all_of(chat(sdk, posted(RED), stream=True, stream_options=wish))
    assert (chunks[-1].choices, chunks[-1].usage) == ([], (await chat(sdk, posted(RED))).usage)
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_the_helper_for_streams_gathers_the_answer(sdk):
    stream = sdk.chat.completions.stream(model="gpt4video", messages=posted(RED))
    async with Opened(stream) as events:
        kinds = {event.type for event in await all_of(events)}
        whole = await it(events.get_final_completion())
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert whole.choices[0].message.content == "The video is red."


async def test_a_video_comes_by_data_or_by_the_id_of_a_file(sdk):
    file = await it(sdk.files.create(file=("red.mp4", mp4_of("red")), purpose="user_data"))
    part = {"type": "file", "file": {"file_id": file.id}}
    by_part = [{"role": "user", "content": [part, {"type": "text", "text": "Which colour?"}]}]
    for messages in (posted(RED), posted(file.id), by_part):
        assert (await chat(sdk, messages)).choices[0].message.content == "The video is red."


async def test_web_addresses_are_not_fetched_unless_the_operator_says_so(sdk):
    with pytest.raises(openai.BadRequestError) as caught:
        await chat(sdk, posted("https://example.com/clip.mp4"))
    assert caught.value.code == "media_url_not_allowed"


async def test_an_answer_draws_and_hands_the_video_over(sdk):
    chunks = await all_of(chat(sdk, say("Draw a blue square"), stream=True))
    told = [chunk.choices[0].delta.video for chunk in chunks if hasattr(chunk.choices[0].delta, "video")]
    assert [told[0]["status"], told[-1]["status"]] == ["queued", "completed"]
    assert (await it(sdk.videos.retrieve(told[-1]["id"]))).prompt == "a blue square"
    [video] = (await chat(sdk, say("Draw a blue square"))).choices[0].message.videos
    assert video["status"] == "completed"


async def test_leaving_a_stream_frees_its_place(sdk, assistant):
    stream = await chat(sdk, say("talk forever"), stream=True, max_tokens=100_000)
    if hasattr(stream, "__anext__"):
        await stream.__anext__()
    else:
        next(stream)
    until(lambda: assistant.language_model.open == 1)
    await it(stream.close())
    until(lambda: assistant.language_model.open == 0, 20)


async def test_what_breaks_in_a_stream_is_an_api_error(sdk):
    with pytest.raises(openai.APIError) as caught:
        await all_of(chat(sdk, say("break"), stream=True))
    assert (caught.value.code, caught.value.type) == ("internal_error", "server_error")


async def test_what_does_not_fit_is_a_bad_request_that_names_it(sdk):
    with pytest.raises(openai.BadRequestError) as caught:
        await chat(sdk, say("hello"), temperature=9)
    assert (caught.value.param, caught.value.code) == ("temperature", "invalid_value")
    assert caught.value.request_id


async def test_a_raw_answer_shows_its_request_id(sdk):
    raw = await it(
        sdk.chat.completions.with_raw_response.create(
            model="gpt4video", messages=say("hello"), extra_headers={"X-Request-Id": "mine-1"}
        )
    )
    assert (raw.request_id, raw.headers["x-request-id"]) == ("mine-1", "mine-1")
    assert raw.headers["openai-version"] and int(raw.headers["openai-processing-ms"]) >= 0
    assert (await it(raw.parse())).choices[0].message.content


async def test_a_wrong_key_is_an_authentication_error(guarded, client_of):
    url, _ = guarded
    with pytest.raises(openai.AuthenticationError) as caught:
        await it(client_of(url, "g4v_wrong").models.list())
    assert caught.value.code == "invalid_api_key"


async def test_over_its_rate_a_key_gets_a_rate_limit_error_and_is_told_when(guarded, client_of):
    url, key = guarded
    sdk = client_of(url, key, max_retries=0)
    raw = await it(sdk.chat.completions.with_raw_response.create(model="gpt4video", messages=say("hello")))
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    assert raw.headers["x-ratelimit-remaining-requests"] == "1"
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(3):
            await chat(sdk, say("hello"))
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 120


async def test_words_lists_of_words_and_parts_are_moderated(sdk):
    [one] = (await it(sdk.moderations.create(input="gore"))).results
    assert one.flagged and one.categories.violence and one.category_scores.violence == 0.9
    assert one.category_applied_input_types.violence == ["text"]
    two = (await it(sdk.moderations.create(input=["a circle", "gore"]))).results
    assert [result.flagged for result in two] == [False, True]
    parts = [{"type": "text", "text": "gore"}, {"type": "video_url", "video_url": {"url": RED}}]
    [three] = (await it(sdk.moderations.create(input=parts))).results
    assert three.flagged
