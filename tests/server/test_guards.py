"""The guards before every route, over real sockets: bodies, deadlines, other sites' pages."""

import dataclasses
import json
import re
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest
import uvicorn
from web_stand_ins import make_assistant, running, until

from server.app import create_app
from server.protocol import HttpProtocol
from server.settings import Settings

FOREVER = {"messages": [{"role": "user", "content": "talk forever"}], "max_tokens": 5000}
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def settings():
    return Settings(max_body_bytes=2_000_000, keep_alive_seconds=0.3)


def served(**fields):
    return running(create_app(make_assistant(), Settings(**fields)))


def connect(url):
    return closing(socket.create_connection(("127.0.0.1", urlsplit(url).port), timeout=30))


def post(length):
    return (
        f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
    ).encode()


def answer_on(connection):
    """Status and error code of what comes on a raw connection until it is closed or whole."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        data += (more := connection.recv(65536))
        if not more:
            break
    return int(data.split()[1]), json.loads(data.partition(b"\r\n\r\n")[2])["error"]["code"]


def test_every_answer_tells_browsers_to_take_care(http):
    for path in ("/", "/health", "/v1/models", "/v1/videos/video_1", "/web/app.js", "/nowhere"):
        told = http.get(path).headers
        assert told["x-content-type-options"] == "nosniff", path
        assert told["referrer-policy"] == "no-referrer" and told["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in told["content-security-policy"]
        assert told["cross-origin-resource-policy"] == "same-origin"
        assert not any(name.startswith("access-control") for name in told)


def test_a_body_that_stops_coming_is_408():
    with served(body_idle_seconds=0.3) as url, connect(url) as connection:
        connection.sendall(post(1000))
        assert answer_on(connection) == (408, "request_timeout")


def test_a_whole_request_may_take_longer_than_a_body_may_be_silent():
    with served(body_idle_seconds=0.2) as url:
        body = {**FOREVER, "max_tokens": 40}  # 0.02 s each
        told = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=30)
        assert told.json()["usage"]["completion_tokens"] == 40


def test_too_many_uploads_at_once_are_503_and_a_chat_is_answered_beside_them():
    with served(max_uploads=3, body_idle_seconds=200) as url, ExitStack() as stack:
        coming = [stack.enter_context(connect(url)) for _ in range(3)]
        for connection in coming:
            connection.sendall(post(1_000_000))

        def one_more():
            return httpx2.post(f"{url}/v1/files", files={"file": b"x" * 100_000}, timeout=60)

        until(lambda: one_more().status_code == 503, 90)
        refused = one_more()
        assert refused.json()["error"]["code"] == "queue_full" and refused.headers["retry-after"]
        assert httpx2.post(f"{url}/v1/chat/completions", json=HELLO, timeout=30).status_code == 200
        coming.pop().close()
        until(lambda: one_more().status_code == 400, 90)


def test_an_answer_that_takes_too_long_is_504_and_its_work_ends():
    assistant = make_assistant()
    with running(create_app(assistant, Settings(request_seconds=0.5))) as url:
        told = httpx2.post(f"{url}/v1/chat/completions", json=FOREVER, timeout=30)
        assert (told.status_code, told.json()["error"]["code"]) == (504, "timeout")
        until(lambda: assistant.language_model.open == 0, 20)


def test_a_stream_that_takes_too_long_ends_with_an_error_in_it():
    assistant = make_assistant()
    with running(create_app(assistant, Settings(request_seconds=0.5))) as url:
        body = {**FOREVER, "stream": True}
        lines = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=30).text.split("\n\n")
        assert json.loads(lines[-3].removeprefix("data: "))["error"]["code"] == "timeout"
        assert lines[-2] == "data: [DONE]"
        until(lambda: assistant.language_model.open == 0, 20)


def test_an_open_server_answers_to_names_of_loopback_alone(http):
    for host in ("localhost", "localhost:8000", "127.0.0.1", "[::1]:80", "gpt4video.localhost"):
        assert http.get("/v1/models", headers={"Host": host}).status_code == 200, host
    for host in ("rebound.example.org", "localhost.example.org", "10.0.0.1:8000", "[", ""):
        told = http.get("/v1/models", headers={"Host": host})
        assert (told.status_code, told.json()["error"]["code"]) == (403, "host_not_allowed"), host


def test_an_operator_names_other_hosts():
    with served(allowed_hosts=("gpt4video.example.org",)) as url:
        for host, status in (("gpt4video.example.org:8000", 200), ("localhost", 403)):
            assert httpx2.get(f"{url}/v1/models", headers={"Host": host}).status_code == status
    with served(allowed_hosts=("*",)) as url:
        assert httpx2.get(f"{url}/v1/models", headers={"Host": "any.example.org"}).status_code == 200


def test_a_page_of_another_site_can_neither_post_nor_read(http, url):
    for origin in ("https://evil.example.org", "null", "http://localhost:1", "http://["):
        told = http.post("/v1/videos", data={"prompt": "a red circle"}, headers={"Origin": origin})
        assert (told.status_code, told.json()["error"]["code"]) == (403, "origin_not_allowed"), origin
    own = http.post("/v1/chat/completions", json=HELLO, headers={"Origin": url})
    assert own.status_code == 200 and "access-control-allow-origin" not in own.headers


def test_a_site_that_is_named_may_use_it_from_a_browser():
    site = "https://app.example.org"
    with served(cors_origins=(site,)) as url:
        asking = {"Origin": site, "Access-Control-Request-Method": "POST",
                  "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
        allowed = httpx2.options(f"{url}/v1/chat/completions", headers=asking)
        assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == site
        told = httpx2.post(f"{url}/v1/chat/completions", json=HELLO, headers={"Origin": site})
        assert told.status_code == 200 and told.headers["access-control-allow-origin"] == site
        assert "x-request-id" in told.headers["access-control-expose-headers"].lower()
        other = httpx2.options(f"{url}/v1/models", headers={**asking, "Origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in other.headers


class Impatient(HttpProtocol):
    header_seconds = 0.5


@pytest.fixture
def impatient():
    config = uvicorn.Config(create_app(make_assistant()), port=0, log_level="error", http=Impatient)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, 20)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


def test_headers_that_never_end_close_the_connection(impatient):
    with connect(impatient) as silent, connect(impatient) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        assert silent.recv(100) == b"" and slow.recv(100) == b""


def test_a_slow_answer_and_a_kept_connection_are_not_cut(impatient):
    with httpx2.Client(base_url=impatient, timeout=30) as client:
        for _ in range(2):
            told = client.post("/v1/chat/completions", json={**FOREVER, "max_tokens": 50})
            assert told.json()["usage"]["completion_tokens"] == 50
            time.sleep(0.2)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01 not HTTP",
        b"GET /version HTTP/1.1",
        b"GET /version HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.org",
        b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3",
    ],
)
def test_what_is_no_http_gets_an_error_object(impatient, said):
    with connect(impatient) as connection:
        connection.sendall(said + b"\r\n\r\n")
        assert answer_on(connection) == (400, "invalid_request")


def test_more_requests_are_not_read_than_can_be_answered(impatient):
    """Who sends requests back to back fills no memory, and others are still answered."""
    asked = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    memory, before, done = psutil.Process(), psutil.Process().memory_info().rss, threading.Event()
    with connect(impatient) as flood:

        def send():
            with suppress(OSError):
                while not done.is_set():
                    flood.sendall(asked * 5000)

        def read():
            with suppress(OSError):
                while not done.is_set() and flood.recv(1 << 20):
                    pass

        threads = [threading.Thread(target=each, daemon=True) for each in (send, read)]
        for thread in threads:
            thread.start()
        waited = []
        for _ in range(20):
            time.sleep(0.1)
            began = time.monotonic()
            assert httpx2.get(f"{impatient}/version", timeout=30).status_code == 200
            waited.append(time.monotonic() - began)
        done.set()
        flood.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(20)
    assert memory.memory_info().rss - before < 100 << 20
    assert sorted(waited)[10] < 1.0


def test_the_body_of_a_request_to_upgrade_is_a_body(impatient):
    """It is never taken for the next request."""
    inner = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Type: application/json\r\n"
    )
    asked = json.dumps({**FOREVER, "max_tokens": 3}).encode()
    for body, statuses in ((inner, [400]), (asked, [200])):
        with connect(impatient) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body))
            time.sleep(0.1)
            connection.sendall(body)
            assert [int(s) for s in re.findall(rb"HTTP/1\.1 (\d+)", read_for(connection, 1.5))] == statuses


def test_what_follows_a_stream_waits_for_its_end(impatient):
    stream = json.dumps({**FOREVER, "max_tokens": 30, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with connect(impatient) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(stream) + stream)
        time.sleep(0.05)
        connection.sendall(b"GARBAGE\r\n\r\n")
        told = read_for(connection, 5)
    first, _, second = told.partition(b"data: [DONE]")
    assert first.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 400" not in first and b"HTTP/1.1 400" in second


def test_an_old_client_gets_a_stream_without_chunks(impatient):
    stream = json.dumps({**FOREVER, "max_tokens": 3, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with connect(impatient) as connection:
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(stream) + stream)
        headers, _, body = read_for(connection, 5).partition(b"\r\n\r\n")
    assert b"chunked" not in headers.lower() and body.startswith(b"data: ") and body.endswith(b"[DONE]\n\n")


def read_for(connection, seconds):
    """All that comes until the connection is closed, or nothing for so long."""
    connection.settimeout(seconds)
    data = b""
    with suppress(TimeoutError):
        while more := connection.recv(65536):
            data += more
    return data


def test_headers_and_trailers_that_are_too_long_are_refused(impatient):
    begun = {
        "headers": b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n",
        "trailers": b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/json\r\n\r\n2\r\n{}\r\n0\r\n",
    }
    endless = b"x: %b\r\n" % (b"x" * 1000) * 70
    for name, head in begun.items():
        with connect(impatient) as connection:
            connection.sendall(head)
            time.sleep(0.1)  # what comes together with a body is not counted
            connection.sendall(endless[: (1 << 16) + 1])
            assert answer_on(connection) == (400, "invalid_request"), name


def test_a_body_in_small_pieces_is_read_and_the_next_request_too(impatient):
    body = json.dumps({**FOREVER, "max_tokens": 3, "user": "u" * 20_000}).encode()
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with connect(impatient) as connection:
        for _ in range(2):
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_every_setting_can_be_set_from_outside(tmp_path):
    from server.settings import settings_of

    file = tmp_path / "settings.yaml"
    file.write_text("max_uploads: 3\nlimits: {requests_per_minute: 60}\nurl_seconds: 10\n")
    environment = {"GPT4VIDEO_MAX_UPLOADS": "4", "GPT4VIDEO_ALLOWED_HOSTS": "[localhost]", "HOME": "/root"}
    settings = settings_of(file, environment, url_seconds=20.0, data_dir=None)
    assert (settings.max_uploads, settings.allowed_hosts, settings.url_seconds) == (4, ("localhost",), 20.0)
    assert settings.limits.requests_per_minute == 60
    assert settings_of(None, {}) == Settings()
    assert {field.name for field in dataclasses.fields(Settings)} >= {"database_url", "data_dir"}
