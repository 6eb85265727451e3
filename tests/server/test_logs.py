"""The log: one JSON object in each line, with the request's id and without its words."""

import io
import json
import logging

import httpx2
import pytest
from web_stand_ins import until

from server import logs


@pytest.fixture
def lines():
    """Everything logged as JSON while the test runs."""
    names = ("", "gpt4video", "gpt4video.access")
    before = [(logging.getLogger(name).level, logging.getLogger(name).handlers) for name in names]
    logs.install("json")
    stream = io.StringIO()
    logging.getLogger().handlers[0].setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for name, (level, handlers) in zip(names, before, strict=True):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers = handlers


def test_a_request_is_one_line_without_its_words(lines, http):
    body = {"messages": [{"role": "user", "content": "a very secret question"}]}
    http.post("/v1/chat/completions", json=body, headers={"X-Request-Id": "mine-1"})
    http.get("/v1/videos/video_1")
    http.get("/health")
    until(lambda: len(lines()) == 2, 20)  # written when a request is over, a moment after its last byte
    answered, missed = lines()
    assert answered["message"] == "POST /v1/chat/completions 200"
    assert (answered["level"], answered["logger"]) == ("info", "gpt4video.access")
    expected = {"request_id": "mine-1", "method": "POST", "route": "/v1/chat/completions", "status": 200}
    assert expected.items() <= answered.items()
    assert answered["ms"] > 0 and answered["time"].endswith("Z")
    assert (missed["route"], missed["status"], missed["code"]) == (
        "/v1/videos/{id}",
        404,
        "video_not_found",
    )
    assert "secret" not in json.dumps(lines())


def test_what_breaks_in_an_answer_is_logged_with_its_request(lines, url):
    body = {"messages": [{"role": "user", "content": "break"}], "stream": True}
    httpx2.post(f"{url}/v1/chat/completions", json=body, headers={"X-Request-Id": "mine-2"})
    broken = next(line for line in lines() if line["level"] == "error")
    assert broken["request_id"] == "mine-2" and "RuntimeError" in broken["exception"]


def test_a_message_of_several_lines_stays_in_one(lines):
    logging.getLogger("gpt4video").warning("one\ntwo %s", '"three"')
    assert lines()[0]["message"] == 'one\ntwo "three"'
