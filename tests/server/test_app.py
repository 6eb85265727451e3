"""Loading, readiness, models, moderations, and the page."""

import re
import threading
import time
import typing

import httpx2
import pytest
from web_stand_ins import make_assistant, running, until

from gpt4video import messages
from server.app import create_app
from server.routes.page import FOLDER


def test_the_page_answers_while_the_model_loads():
    go = threading.Event()

    def load():
        go.wait(10)
        return make_assistant()

    began = time.monotonic()
    with running(create_app(load)) as url, httpx2.Client(base_url=url) as http:
        assert http.get("/").status_code == 200
        assert http.get("/health").json() == {"status": "ok"}
        assert time.monotonic() - began < 3
        for method, path in (("GET", "/ready"), ("GET", "/v1/models"), ("POST", "/v1/videos")):
            early = http.request(method, path)
            assert (early.status_code, early.json()["error"]["code"]) == (503, "model_loading")
            assert early.headers["retry-after"]
        body = {"messages": [{"role": "user", "content": "hello"}]}
        assert http.post("/v1/chat/completions", json=body).status_code == 503
        go.set()
        until(lambda: http.get("/ready").status_code == 200)
        assert http.post("/v1/chat/completions", json=body).status_code == 200


def test_a_model_that_cannot_be_loaded_is_said_so():
    def load():
        raise RuntimeError("a path nobody should read")

    with running(create_app(load)) as url, httpx2.Client(base_url=url) as http:
        until(lambda: http.get("/health").status_code == 503)
        assert http.get("/ready").json()["error"]["code"] == "engine_unavailable"
        assert "path" not in http.get("/ready").text


@pytest.mark.parametrize("part", ["language_model", "drawer"])
def test_health_tells_that_a_worker_has_ended(http, assistant, part):
    assert http.get("/health").status_code == 200
    getattr(assistant, part).alive = False
    sick = http.get("/health")
    assert (sick.status_code, sick.json()["error"]["code"]) == (503, "engine_unavailable")
    assert part.replace("_", " ") in sick.json()["error"]["message"]


def test_models_tell_what_they_can_do(sdk):
    [model] = sdk.models.list()
    assert sdk.models.retrieve("gpt4video") == model
    assert model.capabilities == {"input": ["text", "image", "video"], "output": ["text", "video"]}
    assert model.max_model_len == 512
    assert model.video["sizes"] == ["64x64", "128x128"]
    assert model.video["seconds"] == ["1", "2"]


def test_moderations_have_every_category(sdk):
    first, second = sdk.moderations.create(input=["a red circle", "gore"]).results
    assert (first.flagged, second.flagged) == (False, True)
    assert second.categories.violence
    assert second.category_scores.violence == 0.9
    assert not second.categories.self_harm_intent


def test_temporary_files_end_with_the_server(assistant, red):
    app = create_app(assistant)
    folder = app.state.service.folder
    with running(app) as url:
        httpx2.post(f"{url}/v1/files", files={"file": red}, timeout=60)
        assert red in [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not folder.exists()


def test_the_page_needs_nothing_from_elsewhere(http, settings):
    page = http.get("/")
    assert f'data-max-bytes="{settings.max_body_bytes}"' in page.text
    assert http.head("/").status_code == 200
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in page.text
    assert not re.search(r"\sstyle=|\son\w+=", page.text)
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert path.startswith("/web/")
        assert http.get(path).status_code == 200
    for file in FOLDER.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", file.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name


@pytest.mark.parametrize("file", ["api.js", "app.js"])
def test_every_event_is_known_to_the_web_client(file):
    known = (FOLDER / file).read_text()
    for event in typing.get_args(messages.Event):
        assert re.search(rf"^\s+{event.__name__}\b[:(]", known, re.MULTILINE), event.__name__
