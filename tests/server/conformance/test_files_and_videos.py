"""Files and videos as the official SDK calls them, blocking and asynchronous."""

import base64
import io

import httpx2
import openai
import pytest
from PIL import Image
from web_stand_ins import mp4_of, until

from gpt4video.video import probe
from tests.server.conformance.both import all_of, data_of, it

RED = mp4_of("red")


def upload(sdk, name="red.mp4", **more):
    return it(sdk.files.create(file=(name, RED), purpose="user_data", **more))


def draw(sdk, prompt="a red circle", **more):
    return it(sdk.videos.create_and_poll(prompt=prompt, poll_interval_ms=20, **more))


async def test_a_file_is_created_retrieved_read_and_deleted(sdk):
    file = await upload(sdk)
    assert (file.object, file.bytes, file.status, file.purpose) == (
        "file",
        len(RED),
        "processed",
        "user_data",
    )
    assert await it(sdk.files.retrieve(file.id)) == file
    assert (await it(sdk.files.wait_for_processing(file.id))).id == file.id
    assert await data_of(sdk.files.content(file.id)) == RED
    gone = await it(sdk.files.delete(file.id))
    assert (gone.id, gone.object, gone.deleted) == (file.id, "file", True)
    with pytest.raises(openai.NotFoundError) as caught:
        await it(sdk.files.retrieve(file.id))
    assert caught.value.code == "file_not_found"


async def test_files_are_listed_page_by_page(sdk):
    made = [(await upload(sdk, f"{i}.mp4")).id for i in range(3)]
    assert [file.id for file in await all_of(sdk.files.list(limit=2))] == made[::-1]
    assert [file.id for file in await all_of(sdk.files.list(limit=2, order="asc"))] == made
    assert await all_of(sdk.files.list(purpose="vision")) == []


async def test_a_file_may_end(sdk):
    file = await upload(sdk, expires_after={"anchor": "created_at", "seconds": 7200})
    assert file.expires_at == file.created_at + 7200


async def test_a_video_is_created_by_form_polled_and_downloaded(sdk, tmp_path):
    done = await draw(sdk, seconds="2", size="128x128", extra_body={"seed": 3})
    assert (done.object, done.status, done.progress, done.error) == ("video", "completed", 100, None)
    assert (done.seconds, done.size, done.seed) == ("2", "128x128", 3)
    content = await it(sdk.videos.download_content(done.id))
    await it(getattr(content, "awrite_to_file", content.write_to_file)(tmp_path / "out.mp4"))
    assert probe(tmp_path / "out.mp4").width == 128
    for variant in ("thumbnail", "spritesheet"):
        picture = await data_of(sdk.videos.download_content(done.id, variant=variant))
        assert Image.open(io.BytesIO(picture)).format == "WEBP"


async def test_a_video_is_created_by_json_too(sdk, url):
    made = httpx2.post(f"{url}/v1/videos", json={"prompt": "a red circle", "seconds": 2, "seed": 3}).json()
    done = await it(sdk.videos.poll(made["id"], poll_interval_ms=20))
    assert (done.status, done.seconds, done.seed) == ("completed", "2", 3)


async def test_a_part_of_a_video_is_downloaded(sdk):
    done = await draw(sdk)
    part = await it(sdk.videos.download_content(done.id, extra_headers={"Range": "bytes=4-7"}))
    assert (part.response.status_code, await data_of(part)) == (206, b"ftyp")


async def test_a_drawing_that_fails_is_returned_and_not_raised(sdk, assistant):
    assistant.drawer.breaks = True
    failed = await draw(sdk)
    assert (failed.status, failed.error.code) == ("failed", "generation_failed")


async def test_what_safety_refuses_is_a_bad_request(sdk):
    with pytest.raises(openai.BadRequestError) as caught:
        await it(sdk.videos.create(prompt="gore"))
    assert (caught.value.code, caught.value.param) == ("moderation_blocked", "prompt")


REFERENCES = {
    "an upload": {"input_reference": ("red.mp4", RED)},
    "a file": {"extra_body": {"input_reference": {"file_id": "file-1"}}},
    "a picture": {
        "extra_body": {
            "input_reference": {"image_url": "data:image/png;base64," + base64.b64encode(b"x").decode()}
        }
    },
}


@pytest.mark.parametrize("kind", REFERENCES)
async def test_a_drawer_of_words_refuses_a_reference_and_says_what_fits(sdk, kind):
    with pytest.raises(openai.BadRequestError) as caught:
        await it(sdk.videos.create(prompt="a red circle", **REFERENCES[kind]))
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "input_reference")
    assert "words" in caught.value.message


async def test_videos_are_listed_page_by_page_in_both_orders(sdk):
    made = [(await it(sdk.videos.create(prompt=f"{i}"))).id for i in range(5)]
    assert [video.id for video in await all_of(sdk.videos.list(limit=2))] == made[::-1]
    assert [video.id for video in await all_of(sdk.videos.list(limit=2, order="asc"))] == made


async def test_a_remix_names_its_source(sdk):
    source = await draw(sdk, extra_body={"seed": 5})
    remix = await it(sdk.videos.remix(source.id, prompt="a blue circle"))
    assert remix.remixed_from_video_id == source.id
    done = await it(sdk.videos.poll(remix.id, poll_interval_ms=20))
    assert (done.status, done.prompt, done.seed) == ("completed", "a blue circle", 5)


async def test_a_finished_video_is_deleted(sdk):
    done = await draw(sdk)
    gone = await it(sdk.videos.delete(done.id))
    assert (gone.id, gone.object, gone.deleted) == (done.id, "video.deleted", True)
    with pytest.raises(openai.NotFoundError) as caught:
        await it(sdk.videos.download_content(done.id))
    assert caught.value.code == "video_not_found"


async def test_a_video_is_deleted_while_it_is_drawn(sdk, assistant):
    assistant.drawer.step_seconds = 0.05
    job = await it(sdk.videos.create(prompt="x", extra_body={"steps": 50}))
    until(lambda: assistant.drawer.steps > 0, 20)
    assert (await it(sdk.videos.delete(job.id))).deleted
    until(lambda: assistant.drawer.stopped == 1, 20)


async def test_an_unfinished_video_has_no_content_and_says_when_to_look_again(sdk, assistant):
    assistant.drawer.step_seconds = 0.3
    job = await it(sdk.videos.create(prompt="x"))
    raw = await it(sdk.videos.with_raw_response.retrieve(job.id))
    assert 250 <= int(raw.headers["openai-poll-after-ms"]) <= 5000
    with pytest.raises(openai.NotFoundError) as caught:
        await it(sdk.videos.download_content(job.id))
    assert caught.value.code == "video_not_ready"


async def test_the_sdk_polls_at_the_pace_it_is_told(sdk, assistant):
    assistant.drawer.step_seconds = 0.02
    done = await it(sdk.videos.create_and_poll(prompt="x"))
    assert done.status == "completed"


async def test_the_same_idempotency_key_gives_the_same_video(sdk):
    key = {"Idempotency-Key": "once-1"}
    first, second = [
        await it(sdk.videos.with_raw_response.create(prompt="a red circle", extra_headers=key))
        for _ in range(2)
    ]
    assert (await it(second.parse())).id == (await it(first.parse())).id
    assert second.headers["idempotent-replayed"] == "true"
    with pytest.raises(openai.ConflictError) as caught:
        await it(sdk.videos.create(prompt="a blue circle", extra_headers=key))
    assert caught.value.code == "idempotency_conflict"
    assert len(await all_of(sdk.videos.list())) == 1
