"""Bad input gets one clear error object and costs nothing else: the next request is answered as before."""

import base64
import io
import json
import wave

import httpx2
import pytest
from web_stand_ins import make_assistant, running

from server.app import create_app
from server.settings import Settings

VIDEO = "data:video/mp4;base64,"


@pytest.fixture(scope="module")
def assistant():
    return make_assistant()


@pytest.fixture(scope="module")
def http(assistant):
    """One server for all: what was bad must not have hurt it."""
    settings = Settings(max_body_bytes=2_000_000, max_messages=100)
    with running(create_app(assistant, settings)) as url, httpx2.Client(base_url=url, timeout=20) as client:
        yield client


def audio_only() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(b"\0\0" * 8000)
    return file.getvalue()


def b64(data: bytes) -> str:
    return VIDEO + base64.b64encode(data).decode()


def turn(*parts, role="user"):
    return {"role": role, "content": list(parts)}


def text(words="What?"):
    return {"type": "text", "text": words}


def video(url):
    return {"type": "video_url", "video_url": {"url": url}}


BAD = {
    "not a video": ([turn(video(b64(b"hello, world" * 50)), text())], "messages[0].content[0].video_url.url"),
    "audio only": ([turn(video(b64(audio_only())), text())], "messages[0].content[0].video_url.url"),
    "empty": ([turn(video(VIDEO), text())], "messages[0].content[0].video_url.url"),
    "not base64": ([turn(video(VIDEO + "!!"), text())], "messages[0].content[0].video_url.url"),
    "no question": ([turn(video("file-1"))], "messages[0].content[0].video_url.url"),
    "no words": ([turn(text("  "))], "messages"),
    "no content": ([{"role": "user"}], "messages"),
    "no messages": ([], "messages"),
    "ends with the assistant": ([{"role": "assistant", "content": "x"}], "messages"),
    "unknown part": ([turn({"type": "hologram"}, text())], "messages[0].content[0].type"),
    "a part without type": ([turn({}, text())], "messages[0].content[0].type"),
    "unknown role": ([{"role": "tool", "content": "x"}], "messages[0].role"),
    "text that is none": ([turn({"type": "text", "text": 3})], "messages[0].content[0].text"),
    "half a character": ([turn(text("\ud800"))], "messages[0].content[0].text"),
    "web address": ([turn(video("http://127.0.0.1/x.mp4"), text())], "messages[0].content[0].video_url.url"),
    "file address": ([turn(video("file:///etc/passwd"), text())], "messages[0].content[0].video_url.url"),
    "bare path": ([turn(video("/etc/passwd"), text())], "messages[0].content[0].video_url.url"),
    "path in an id": ([turn(video("file-/../../x"), text())], "messages[0].content[0].video_url.url"),
    "ten thousand messages": ([turn(text())] * 10_000, "messages"),
    "a video from the system": ([turn(video("data:,"), role="system"), turn(text())], None),
    "videos of a user": ([{**turn(text()), "videos": [{"id": "x"}]}], "messages[0].videos"),
    "a hundred videos": ([turn(*[video(b64(b"x"))] * 40, text())], "messages"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_conversation_is_one_clear_error(http, assistant, name):
    messages, param = BAD[name]
    before = len(assistant.language_model.heard)
    response = http.post(
        "/v1/chat/completions",
        content=json.dumps({"messages": messages}),
        headers={"Content-Type": "application/json"},
    )
    error = response.json()["error"]
    assert response.status_code in (400, 404), error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert len(response.content) < 3000
    assert param is None or error["param"] == param
    assert len(assistant.language_model.heard) == before
    after = http.post("/v1/chat/completions", json={"messages": [turn(text("hello"))]})
    assert after.json()["choices"][0]["message"]["content"].startswith("I see 1 messages")


def test_a_truncated_video_is_an_error_that_says_so(http, red):
    for cut in (20, 200, len(red) // 2, len(red) - 1):
        response = http.post("/v1/chat/completions", json={"messages": [turn(video(b64(red[:cut])), text())]})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "invalid_video")
        assert "cut short" in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("tools", [{"type": "function"}]),
        ("logprobs", True),
        ("modalities", ["text", "audio"]),
        ("response_format", {"type": "json_object"}),
        ("temperature", -1),
        ("top_p", 0),
        ("max_tokens", 0),
        ("stop", ["a"] * 5),
        ("video.size", {"size": "65x65"}),
        ("video.seconds", {"seconds": 60}),
    ],
)
def test_values_that_do_not_fit_are_named(http, field, value):
    name = field.split(".")[0]
    response = http.post("/v1/chat/completions", json={"messages": [turn(text())], name: value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] in (field, field.split(".")[-1])


def test_unknown_fields_are_let_through(http):
    body = {"messages": [turn(text("hello"))], "user": "x", "min_p": 0.1, "chat_template_kwargs": {}}
    assert http.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models/gpt-9", 404, "model_not_found"),
        ("GET", "/v1/files/file-1", 404, "file_not_found"),
        ("DELETE", "/v1/files/file-1", 404, "file_not_found"),
        ("GET", "/v1/videos/video_1", 404, "video_not_found"),
        ("GET", "/v1/videos/video_1/content", 404, "video_not_found"),
        ("GET", "/v1/videos?limit=x", 400, "invalid_value"),
        ("GET", "/v1/videos?after=x", 400, "invalid_value"),
        ("GET", "/v1/videos?order=up", 400, "invalid_value"),
        ("GET", "/web/../app.py", 404, "unknown_url"),
        ("GET", "/web/%2e%2e/app.py", 404, "unknown_url"),
    ],
)
def test_every_refusal_of_an_address_is_an_error_object(http, method, path, status, code):
    response = http.request(method, path)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"messages": 3}'])
def test_a_body_that_is_no_request_is_a_400(http, body):
    for path in ("chat/completions", "videos", "moderations"):
        response = http.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 400, path
        assert response.json()["error"]["code"]
        assert len(response.content) < 3000


def test_a_long_list_of_faults_stays_a_short_answer(http):
    body = {"messages": [{"role": "x" * 10_000}] * 90}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert len(response.content) < 4000


def test_a_body_over_the_cap_is_a_413(http):
    declared = http.post("/v1/chat/completions", content=b"x" * 2_500_000)
    assert declared.json()["error"]["code"] == "request_too_large"
    assert declared.status_code == 413

    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(40):
            yield b"x" * 65_536

    kinds = {"chat/completions": "application/json", "files": "multipart/form-data; boundary=x"}
    for path, kind in kinds.items():
        counted = http.post(f"/v1/{path}", content=chunks(), headers={"Content-Type": kind})
        assert counted.status_code == 413, counted.text
    assert http.get("/health").status_code == 200


def test_a_request_id_is_echoed_where_it_is_well_formed(http):
    assert http.get("/health", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert http.get("/nothing", headers={"X-Request-Id": "abc-2"}).headers["x-request-id"] == "abc-2"
    assert http.get("/health", headers={"X-Request-Id": "a b"}).headers["x-request-id"].startswith("req_")


def test_our_own_mistake_is_a_500_that_tells_nothing(http):
    response = http.post("/v1/chat/completions", json={"messages": [turn(text("break"))]})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "secret" not in response.text
    assert response.headers["x-request-id"]
