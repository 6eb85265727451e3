"""Creations that are asked for twice and done once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from web_stand_ins import until


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


RESENT = {"x-stainless-retry-count": "1"}


def videos(http) -> list[str]:
    return [video["id"] for video in http.get("/v1/videos").json()["data"]]


def test_the_same_key_and_body_give_the_same_job(http):
    first = http.post("/v1/videos", json={"prompt": "x"}, headers=key("a"))
    again = http.post("/v1/videos", json={"prompt": "x"}, headers=key("a"))
    assert again.json() == first.json()
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert http.post("/v1/videos", json={"prompt": "x"}, headers=key("b")).json()["id"] != first.json()["id"]
    form = http.post("/v1/videos", data={"prompt": "x"}, files={"more": b""}, headers=key("c"))
    assert (
        http.post("/v1/videos", data={"prompt": "x"}, files={"more": b""}, headers=key("c")).json()
        == form.json()
    )
    assert len(videos(http)) == 3


def test_the_same_key_with_another_body_is_a_conflict_that_is_not_repeated(http):
    http.post("/v1/videos", json={"prompt": "x"}, headers=key("a"))
    other = http.post("/v1/videos", json={"prompt": "y"}, headers=key("a"))
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert other.headers["x-should-retry"] == "false"
    assert len(videos(http)) == 1


def test_requests_at_the_same_time_with_one_key_make_one_job(http):
    with ThreadPoolExecutor(8) as threads:
        send = lambda _: http.post("/v1/videos", json={"prompt": "x"}, headers=key("a"))  # noqa: E731
        answers = list(threads.map(send, range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json()["id"] for answer in answers] == videos(http) * 8
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7


def test_what_the_sdk_silently_sends_again_makes_no_second_job(http):
    first = http.post("/v1/videos", json={"prompt": "x"}).json()
    assert http.post("/v1/videos", json={"prompt": "x"}, headers=RESENT).json()["id"] == first["id"]
    assert http.post("/v1/videos", json={"prompt": "y"}, headers=RESENT).json()["id"] != first["id"]
    assert http.post("/v1/videos", json={"prompt": "x"}).json()["id"] != first["id"]
    assert len(videos(http)) == 3


def test_a_file_that_is_sent_again_is_kept_once(http, red):
    def send(data: bytes, **headers: str):
        return http.post("/v1/files", files={"file": ("red.mp4", data)}, headers=headers)

    first = send(red, **key("a")).json()
    assert send(red, **key("a")).json() == first
    assert send(red, **RESENT).json() == first
    assert send(red + b" ", **key("a")).status_code == 409
    assert len(http.get("/v1/files").json()["data"]) == 1


def test_what_was_refused_may_be_tried_again_with_the_same_key(http, assistant, settings):
    assistant.drawer.step_seconds = 0.5
    refused = http.post("/v1/videos", json={"prompt": "gore"}, headers=key("a"))
    assert refused.status_code == 400
    assert http.post("/v1/videos", json={"prompt": "x"}, headers=key("a")).status_code == 200


def test_a_deleted_video_is_not_given_again(http):
    first = http.post("/v1/videos", json={"prompt": "x"}, headers=key("a")).json()
    http.delete(f"/v1/videos/{first['id']}")
    assert http.post("/v1/videos", json={"prompt": "x"}, headers=key("a")).json()["id"] != first["id"]


def test_a_whole_chat_answer_is_given_again_and_not_worked_out_again(http, assistant):
    body = {"messages": [{"role": "user", "content": "How many?"}]}
    first = http.post("/v1/chat/completions", json=body, headers=key("a"))
    again = http.post("/v1/chat/completions", json=body, headers=key("a"))
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert len(assistant.language_model.heard) == 1
    assert http.post("/v1/chat/completions", json=body).json()["id"] != first.json()["id"]
    assert len(assistant.language_model.heard) == 2


def test_a_chat_whose_client_left_may_be_asked_again(http, assistant):
    body = {"messages": [{"role": "user", "content": "talk forever"}], "max_tokens": 100_000}
    with pytest.raises(Exception, match="timed out"):
        http.post("/v1/chat/completions", json=body, headers=key("a"), timeout=1)
    until(lambda: assistant.language_model.open == 0, 20)
    threading.Event().wait(0.2)
    body["max_tokens"] = 3
    again = http.post("/v1/chat/completions", json=body, headers=key("a"))
    assert again.status_code == 200 and "idempotent-replayed" not in again.headers


@pytest.mark.parametrize("value", ["", "a b", "x" * 256])
def test_a_key_that_is_none_is_a_400(http, value):
    response = http.post("/v1/videos", json={"prompt": "x"}, headers=key(value))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")
