"""The OpenAPI document is complete and true: schemathesis holds every route against it, and so do we."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from web_stand_ins import make_assistant, running

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
