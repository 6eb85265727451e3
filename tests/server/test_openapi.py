"""The OpenAPI document is complete and true: schemathesis holds every route against it, and so do we."""

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import jsonschema
import pytest
from web_stand_ins import make_assistant, running

from server import examples
from server.app import create_app
from server.openapi import ALWAYS, REASONS
from server.settings import Settings

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def app():
    return create_app(make_assistant(step_seconds=0.0), Settings(max_queued_videos=10_000))


@pytest.fixture(scope="module")
def document(app):
    return app.openapi()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def run_schemathesis(app, folder, *options):
    """The command line's own words: its exit status is 0 only where every check passed."""
    with running(app) as url:
        command = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run",
            f"{url}/openapi.json", "--checks", "all", "--mode", "all", "--continue-on-failure",
            "--suppress-health-check", "all", "--request-timeout", "60", *options,
        ]  # fmt: skip
        env = {**os.environ, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.timeout(900)  # half a minute on an idle core
def test_no_request_of_schemathesis_gets_what_the_document_does_not_say(app, tmp_path):
    """All checks, negative data too: no 500, no undocumented status, type or shape, no method beside."""
    told = run_schemathesis(app, tmp_path, "--max-examples", "3", "--seed", "1")
    assert "Stateful" in told and "Fuzzing" in told and "Coverage" in told


@pytest.mark.timeout(7200)
@pytest.mark.slow  # some ten thousand requests
def test_nor_do_many_requests(app, tmp_path):
    run_schemathesis(app, tmp_path, "--max-examples", "200")


def test_every_route_has_its_answer_its_errors_and_words(document):
    for name, operation in operations(document):
        assert operation["description"], name
        assert operation["responses"]["200"]["content"], name
        if "/v1/" in name:
            assert {str(status) for status in ALWAYS} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                [content] = response["content"].values()
                assert content["example"]["error"]["code"], (name, status)
                assert content["schema"]["$ref"].endswith("/ErrorObject")
                assert int(status) in REASONS


def test_every_body_is_described_with_an_example(document):
    writing = {name: op for name, op in operations(document) if name.startswith("POST")}
    without = {name for name, op in writing.items() if "requestBody" not in op}
    assert without == {"POST /v1/videos/{id}/cancel"}
    for name, operation in writing.items():
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            schema = content["schema"]
            if "$ref" in schema:
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                assert schema["example"], (name, kind)
            assert schema["properties"], (name, kind)


def test_every_body_and_every_answer_has_an_example_that_fits(document):
    """But for those that are bytes, or a stream's text."""
    schemas = {"components": document["components"]}
    for name, operation in operations(document):
        [good] = [content for status, content in contents(operation) if status == "200"]
        for kind, content in [*good.items(), *operation.get("requestBody", {}).get("content", {}).items()]:
            if content["schema"].get("format") == "binary":
                continue
            assert content["example"], (name, kind)
            if kind != "text/event-stream":
                jsonschema.validate(content["example"], {**schemas, **content["schema"]})


def contents(operation):
    return [(status, response["content"]) for status, response in operation["responses"].items()
            if "content" in response]  # fmt: skip


def test_an_example_has_the_fields_of_the_servers_own_answer(red):
    with running(create_app(make_assistant())) as url, httpx2.Client(base_url=url, timeout=30) as http:
        file = http.post("/v1/files", files={"file": ("a.mp4", red)})
        parts = [
            {"type": "file", "file": {"file_id": file.json()["id"]}},
            {"type": "text", "text": "Colour?"},
        ]
        chat = {"messages": [{"role": "user", "content": parts}]}
        for name, answer in {
            "FileObject": file,
            "FileList": http.get("/v1/files"),
            "VideoObject": http.post("/v1/videos", json=examples.BODIES["VideoRemix"]),
            "VideoList": http.get("/v1/videos"),
            "ChatCompletion": http.post("/v1/chat/completions", json=chat),
            "AskAnswer": http.post("/v1/ask", files={"video": red}, data=examples.BODIES["AskRequest"]),
            "ModerationObject": http.post("/v1/moderations", json=examples.BODIES["ModerationRequest"]),
            "ModelList": http.get("/v1/models"),
            "ModelObject": http.get("/v1/models/gpt4video"),
            "Health": http.get("/health"),
            "Ready": http.get("/ready"),
            "Version": http.get("/version"),
            "Deleted": http.delete(f"/v1/files/{file.json()['id']}"),
        }.items():
            assert answer.status_code == 200, answer.text
            assert shape(examples.ANSWERS[name]) == shape(answer.json()), name


def shape(value):
    """The names of all fields; the first object of a list stands for all."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return (
        [shape(inner) for inner in value[:1] if isinstance(inner, dict)] if isinstance(value, list) else None
    )


def test_headers_are_documented_where_they_come(document):
    def headers(path, method, status):
        return set(document["paths"][path][method]["responses"][status]["headers"])

    for name, operation in operations(document):
        limited = {f"x-ratelimit-{of}-tokens" for of in ("limit", "remaining", "reset")}
        for status, response in operation["responses"].items():
            assert {"X-Request-Id", "openai-processing-ms"} <= set(response["headers"]), name
            assert (limited <= set(response["headers"])) == ("/v1/" in name), name
            assert ("Retry-After" in response["headers"]) == (status in ("429", "503", "504")), name
    assert "openai-poll-after-ms" in headers("/v1/videos/{id}", "get", "200")
    keyed = {
        name
        for name, operation in operations(document)
        if "Idempotency-Key" in {parameter["name"] for parameter in operation.get("parameters", [])}
    }
    assert keyed == {
        f"POST /v1/{place}" for place in ("videos", "videos/{id}/remix", "files", "chat/completions")
    }


def test_a_file_is_a_field_of_its_form(document):
    for path, field in (("/v1/files", "file"), ("/v1/ask", "video")):
        form = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["properties"][field] == {"type": "string", "format": "binary"}
        assert field in form["required"]
    files = document["paths"]["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"expires_after[anchor]", "expires_after[seconds]"} <= set(files["properties"])


def test_streams_are_documented(document):
    for path, method in (
        ("/v1/chat/completions", "post"),
        ("/v1/ask", "post"),
        ("/v1/videos/{id}/events", "get"),
    ):
        assert "text/event-stream" in document["paths"][path][method]["responses"]["200"]["content"]


def test_every_reference_leads_somewhere(document):
    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    names = {reference.rpartition("/")[2] for reference in references(document)}
    assert names <= set(document["components"]["schemas"])
