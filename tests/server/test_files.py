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


def test_a_file_can_be_kept_for_a_time(sdk, http, red):
    after = {"anchor": "created_at", "seconds": 3600}
    file = sdk.files.create(file=("a.mp4", red), purpose="user_data", expires_after=after)
    assert file.expires_at == file.created_at + 3600
    for seconds, param in (("60", "expires_after.seconds"), ("x", "expires_after.seconds")):
        wrong = http.post("/v1/files", files={"file": red}, data={"expires_after[seconds]": seconds})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, param)


def test_a_list_of_one_purpose_holds_no_other(sdk, http, red):
    vision = sdk.files.create(file=("a.mp4", red), purpose="vision")
    sdk.files.create(file=("b.mp4", red), purpose="user_data")
    assert [file.id for file in sdk.files.list(purpose="vision")] == [vision.id]
    assert http.get("/v1/files?purpose=fun").json()["error"]["param"] == "purpose"
    assert http.get("/v1/files?order=up").json()["error"]["param"] == "order"


def test_a_name_is_shown_without_what_cannot_be_printed(http, red):
    file = http.post("/v1/files", files={"file": ("a\tb.mp4", red)}).json()
    assert file["filename"].isprintable()
