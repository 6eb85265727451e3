"""`/metrics`: what happened is counted once, under names that hold no id and no prompt."""

import re
import threading

import httpx2
from prometheus_client.parser import text_string_to_metric_families
from web_stand_ins import make_assistant, running, until

from server.app import create_app


def read(http):
    """Every sample as {(name without its prefix, *label values): value}."""
    told = http.get("/metrics")
    assert told.status_code == 200 and told.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(told.text)
    return {
        (sample.name.removeprefix("gpt4video:"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def chat(http, text, **fields):
    body = {"messages": [{"role": "user", "content": text}], **fields}
    return http.post("/v1/chat/completions", json=body)


def test_an_answer_is_counted_with_its_tokens_and_times(http):
    usage = chat(http, "hello").json()["usage"]
    chat(http, "hello again", stream=True)
    # A request is counted when it is over, which is a moment after its last byte has left.
    asked = ("http_requests_total", "POST", "/v1/chat/completions", "200")
    until(lambda: read(http).get(asked) == 2, 20)
    series = read(http)
    assert series["request_success_total", "stop"] == 2
    assert series["prompt_tokens_total",] == usage["prompt_tokens"] + 2
    assert series["generation_tokens_total",] == 2 * usage["completion_tokens"]
    for name in ("time_to_first_token_seconds", "e2e_request_latency_seconds", "inter_token_latency_seconds"):
        assert series[f"{name}_count",] >= 2
    assert series["sse_clients",] == 0


def test_a_drawing_is_counted_and_so_is_what_safety_said(http):
    chat(http, "draw a red circle")
    chat(http, "gore")
    series = read(http)
    assert series["diffusion_requests_total", "ok"] == 1
    assert series["diffusion_step_seconds_count",] == 8
    assert series["diffusion_queue_time_seconds_count",] == 1
    assert series["diffusion_stage_host_latency_seconds_count", "mux"] == 1
    assert series["jobs", "completed"] == 1 and series["jobs", "failed"] == 0
    assert series["safety_decisions_total", "none", "allowed", "instruction"] == 1
    assert series["safety_decisions_total", "violence", "refused", "question"] == 1


def test_a_posted_video_is_counted_decoded_and_encoded_once(http, red):
    for _ in range(2):
        assert http.post("/v1/ask", files={"video": red}, data={"question": "colour?"}).status_code == 200
    http.post("/v1/ask", files={"video": b"no video"}, data={"question": "colour?"})
    series = read(http)
    assert series["video_decode_seconds_count", "pyav", "ok"] == 1
    assert sum(value for (name, *_), value in series.items() if name == "video_decode_rejected_total") == 1
    assert series["mm_cache_queries_total",] == 2 and series["mm_cache_hits_total",] == 1


def test_what_strangers_ask_for_makes_no_series(http):
    for path in ("/nowhere/1", "/v1/videos/video_1", "/v1/videos/video_2", "/web/nothing.js"):
        assert http.get(path).status_code == 404
    http.request("PROPFIND", "/v1/models")
    chat(http, "a very secret question")
    text = http.get("/metrics").text
    assert not re.search(r"nowhere|video_\d|nothing|secret|PROPFIND", text)
    assert 'route="/v1/videos/{id}"' in text and 'route="none"' in text and 'method="other"' in text


def test_a_client_that_leaves_is_counted(url, http):
    body = {"messages": [{"role": "user", "content": "talk forever"}], "stream": True, "max_tokens": 5000}
    with httpx2.stream("POST", f"{url}/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()  # kept: a forgotten iterator closes the connection
        next(lines)
        assert read(http)["sse_clients",] == 1
    until(lambda: read(http)["client_disconnects_total",] == 1, 20)
    until(lambda: read(http)["sse_clients",] == 0, 20)


def test_two_apps_in_one_process_count_apart(http):
    with running(create_app(make_assistant())) as other, httpx2.Client(base_url=other) as stranger:
        chat(http, "hello")
        assert ("request_success_total", "stop") not in read(stranger)


def test_what_is_turned_away_is_counted_by_its_code():
    loads = threading.Event()
    with running(create_app(lambda: loads.wait(60))) as url, httpx2.Client(base_url=url, timeout=30) as http:
        assert chat(http, "hello").status_code == 503
        rejected = ("admission_rejections_total", "model_loading")
        until(lambda: read(http).get(rejected) == 1, 20)
        loads.set()
