"""`/v1/ask`: one video, one question."""

import json

import pytest


def ask(http, files, **fields):
    return http.post("/v1/ask", files=files, data=fields)


def test_a_question_about_a_file_is_answered(http, red):
    answer = ask(http, {"video": ("red.mp4", red)}, question="Which colour?").json()
    assert set(answer) == {"answer", "videos", "usage", "finish_reason"}
    assert answer["answer"] == "The video is red."
    assert answer["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 22


def test_an_answer_can_draw(http, red):
    fields = {"question": "Draw a blue square", "seed": "5", "size": "128x128", "steps": "3"}
    [video] = ask(http, {"video": ("red.mp4", red)}, **fields).json()["videos"]
    assert (video["status"], video["seed"], video["size"]) == ("completed", 5, "128x128")
    assert http.get(video["url"]).status_code == 200


def test_an_answer_can_stream(http, red):
    with http.stream(
        "POST", "/v1/ask", files={"video": red}, data={"question": "Which?", "stream": "true"}
    ) as response:
        lines = [line[6:] for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == (
        "The video is red."
    )
    assert chunks[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("files", "fields", "param"),
    [
        ({}, {"question": "What?"}, "video"),
        ({"video": ("x.mp4", b"")}, {"question": "What?"}, "video"),
        ({"video": ("x.mp4", b"no video at all")}, {"question": "What?"}, "video"),
        ({"video": ("x.mp4", b"x")}, {}, "question"),
        ({"video": ("x.mp4", b"x")}, {"question": "  "}, "question"),
        ({"video": ("x.mp4", b"x")}, {"question": "What?", "size": "1x1"}, "size"),
        ({"video": ("x.mp4", b"x")}, {"question": "What?", "seed": "many"}, "seed"),
    ],
)
def test_what_is_missing_or_wrong_is_named(http, files, fields, param):
    response = ask(http, files, **fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
