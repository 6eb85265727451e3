"""Traces, as a collector behind OTLP over HTTP gets them."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from web_stand_ins import make_assistant, running, until

from server.app import create_app
from server.settings import Settings
from server.tracing import Traces

proto = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="the extra `tracing` is not installed"
)
CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def collector():
    """An OTLP receiver: its address, and the spans it got."""
    spans = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            sent = proto.ExportTraceServiceRequest.FromString(body)
            spans.extend(s for r in sent.resource_spans for scope in r.scope_spans for s in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
        server.shutdown()


def test_an_answer_is_a_span_of_the_callers_trace_with_its_stages_inside(collector, red):
    endpoint, spans = collector
    app = create_app(make_assistant(), Settings(otlp_endpoint=endpoint))
    with running(app) as url:
        form = {"files": {"video": red}, "data": {"question": "draw a secret red circle"}}
        headers = {"traceparent": f"00-{CALLER}-00f067aa0ba902b7-01", "X-Request-Id": "mine-3"}
        assert httpx2.post(f"{url}/v1/ask", **form, headers=headers, timeout=30).status_code == 200
    (whole,) = [span for span in spans if span.name == "POST /v1/ask"]
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (CALLER, "00f067aa0ba902b7")
    inside = [span for span in spans if span.parent_span_id == whole.span_id]
    names = {span.name for span in inside}
    assert {"decode", "encode", "safety", "diffusion_queue", "diffusion", "mux"} <= names
    for span in inside:
        assert whole.start_time_unix_nano <= span.start_time_unix_nano + 50_000_000
        assert span.end_time_unix_nano <= whole.end_time_unix_nano + 50_000_000
    told = {a.key: a.value.string_value or a.value.int_value for a in whole.attributes}
    assert told["http.route"] == "/v1/ask" and told["http.response.status_code"] == 200
    assert told["gen_ai.request.id"] == "mine-3" and told["gen_ai.usage.output_tokens"] > 0
    assert "gen_ai.latency.time_to_first_token" in told
    assert "secret" not in str(spans)


@pytest.fixture
def exported(monkeypatch):
    """The spans of servers that end meanwhile, kept in memory."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    monkeypatch.setattr(Traces, "to", lambda endpoint, model: Traces(exporter, model))
    monkeypatch.setattr(exporter, "shutdown", lambda: None)  # the next server uses it, too
    return exporter.get_finished_spans


def test_a_drawing_from_the_queue_is_a_trace_linked_to_its_request_also_on_another_server(exported, tmp_path):
    settings = Settings(data_dir=tmp_path, otlp_endpoint="http://nowhere")
    slow = create_app(make_assistant(step_seconds=3600.0), settings)
    with running(slow) as url:
        headers = {"traceparent": f"00-{CALLER}-00f067aa0ba902b7-01"}
        form = {"prompt": "a secret red circle"}
        id = httpx2.post(f"{url}/v1/videos", data=form, headers=headers, timeout=30).json()["id"]
        until(lambda: slow.state.service.jobs.under_way)
    (first,) = [span for span in exported() if span.name == "draw video"]
    assert first.attributes["gpt4video.video.status"] == "stopped"
    with running(create_app(make_assistant(), settings)) as url:
        until(lambda: httpx2.get(f"{url}/v1/videos/{id}").json()["status"] == "completed")
    spans = exported()
    (request,) = [span for span in spans if span.name == "POST /v1/videos"]
    _, second = [span for span in spans if span.name == "draw video"]
    for drawing in (first, second):
        assert drawing.parent is None and drawing.context.trace_id != request.context.trace_id
        (link,) = drawing.links
        assert link.context.trace_id == request.context.trace_id == int(CALLER, 16)
        assert link.context.span_id == request.context.span_id
    assert second.attributes["gpt4video.video.status"] == "completed"
    inside = {s.name for s in spans if s.parent and s.parent.span_id == second.context.span_id}
    assert {"safety", "diffusion_queue", "diffusion", "mux"} <= inside
    assert "secret" not in str([span.to_json() for span in spans])


def test_a_drawing_that_fails_says_so_in_its_trace(exported):
    assistant = make_assistant()
    assistant.drawer.breaks = True
    with running(create_app(assistant, Settings(otlp_endpoint="http://nowhere"))) as url:
        id = httpx2.post(f"{url}/v1/videos", data={"prompt": "x"}, timeout=30).json()["id"]
        until(lambda: httpx2.get(f"{url}/v1/videos/{id}").json()["status"] == "failed")
    (drawing,) = [span for span in exported() if span.name == "draw video"]
    assert drawing.attributes["error.type"] == "generation_failed"
    assert not drawing.status.is_ok


def test_nothing_that_records_is_imported_when_it_is_off():
    code = (
        "import sys; from server.app import create_app; create_app(lambda: None); "
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
