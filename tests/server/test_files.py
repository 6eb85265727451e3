"""`/v1/files` through the official SDK."""

import openai
import pytest


def test_a_file_is_kept_and_looked_into(sdk, red):
    file = sdk.files.create(file=("red.mp4", red), purpose="user_data")
    assert (file.bytes, file.filename, file.status) == (len(red), "red.mp4", "processed")
    assert (file.video["width"], file.video["height"], file.video["duration"]) == (64, 64, 1.0)
    assert sdk.files.retrieve(file.id) == file
    assert sdk.files.wait_for_processing(file.id).id == file.id
    assert sdk.files.content(file.id).read() == red
    assert sdk.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.files.content(file.id)


def test_lists_go_page_by_page(sdk, red):
    made = [sdk.files.create(file=(f"{i}.mp4", red), purpose="user_data").id for i in range(3)]
    assert [file.id for file in sdk.files.list(limit=2)] == made[::-1]
    assert list(sdk.files.list(purpose="vision")) == []


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"#EXTM3U\nfile:///etc/passwd\n", b"\x89PNG\r\n\x1a\nbroken"]
)
def test_what_is_no_video_is_refused_and_not_kept(sdk, settings, data):
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.files.create(file=("x.mp4", data), purpose="user_data")
    assert caught.value.param == "file"
    assert list(sdk.files.list()) == []


def test_fields_that_are_missing_or_wrong_are_named(http, red):
    assert http.post("/v1/files", data={"purpose": "user_data"}).json()["error"]["param"] == "file"
    wrong = http.post("/v1/files", files={"file": red}, data={"purpose": "fun"})
    assert wrong.json()["error"]["param"] == "purpose"
