"""What a client leaves behind that vanishes without a word: nothing, in whatever phase it was answered.

The language model here is the real engine with a tiny decoder whose every forward pass waits at a gate, so
that "within one token" is counted and not timed. The drawer's steps are long.
"""

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
from web_stand_ins import Door, Eyes, Pen, make_assistant, mp4_of, running, until

from gpt4video.assistant import Assistant
from gpt4video.understanding import NativeLanguageModel
from server.app import create_app
from server.settings import Settings
from tests import tiny

PATIENCE = 60
"""Seconds: other work may have the machine."""


class Gate:
    """Counts the forward passes of a model, and lets so many through."""

    def __init__(self, model) -> None:
        self.passes = 0
        self._tickets = threading.Semaphore(0)
        model.register_forward_pre_hook(self._wait)

    def _wait(self, *_) -> None:
        self._tickets.acquire()
        self.passes += 1

    def let(self, count: int) -> None:
        self._tickets.release(count)

    def shut(self) -> None:
        self._tickets = threading.Semaphore(0)


class Speaker:
    """The real language model, one request at a time, eight tokens of a prompt in a pass."""

    def __init__(self) -> None:
        words = tiny.tokenizer()
        model = tiny.backbone(len(words))
        self.gate = Gate(model)
        self.model = NativeLanguageModel(model, words, max_batch=1)
        self.model.engine._chunk = 8

    def stats(self):
        return self.model.engine.stats()


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.gate.let(100_000)
    speaker.model.close()


@pytest.fixture(scope="module")
def spoken(speaker):
    """A server whose words come from the engine."""
    assistant = Assistant(encoder=Eyes(), language_model=speaker.model, drawer=None, safety=Door())
    with running(create_app(assistant)) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as http:
        yield http


@contextmanager
def asking(http, words, **more) -> Iterator[socket.socket]:
    """A streamed chat over a bare socket; closing that is vanishing."""
    body = httpx2.Request("POST", "http://x", json={
        "messages": [{"role": "user", "content": words}], "stream": True, "max_tokens": 400, **more,
    }).content  # fmt: skip
    with socket.create_connection(urlsplit(str(http.base_url)).netloc.split(":")) as line:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        line.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        yield line


def departures(http) -> int:
    """How many clients have left, as the server has noticed."""
    return int(float(re.search(r"client_disconnects_total (\d\S*)", http.get("/metrics").text)[1]))


@contextmanager
def one_departure(http) -> Iterator[None]:
    """Wait until the server has seen a client leave that leaves in here."""
    before = departures(http)
    yield
    until(lambda: departures(http) == before + 1, PATIENCE)


@pytest.fixture(autouse=True)
def shut(speaker):
    """Every test begins with an idle engine and a gate that lets nobody through."""
    until(lambda: speaker.stats().running == 0, PATIENCE)
    speaker.gate.shut()


LONG = "What moves? The blue square, and it is small. " * 4


def test_who_leaves_while_queued_is_never_read(spoken, speaker):
    with asking(spoken, "What moves?"):
        until(lambda: speaker.stats().running == 1, PATIENCE)
        with one_departure(spoken), asking(spoken, "What moves?"):
            until(lambda: speaker.stats().waiting == 1, PATIENCE)
        speaker.gate.let(1)
        until(lambda: speaker.stats().waiting == 0, PATIENCE)
        assert speaker.stats().running == 1

    def free() -> bool:
        speaker.gate.let(1)  # as many as it takes: the server may be slow to see that the first has left, too
        return speaker.stats().running == 0

    until(free, PATIENCE)


@pytest.mark.parametrize("passes", [2, 40], ids=["while the prompt is read", "while words are written"])
def test_who_leaves_costs_one_more_pass_at_most(spoken, speaker, passes):
    before, aborted = speaker.gate.passes, speaker.stats().aborted
    with one_departure(spoken), asking(spoken, LONG):
        speaker.gate.let(passes)
        until(lambda: speaker.gate.passes == before + passes, PATIENCE)
    # If another pass has begun by now, it waits at the gate and is the last one.
    speaker.gate.let(1)
    until(lambda: speaker.stats().running == 0, PATIENCE)
    assert speaker.stats().aborted == aborted + 1
    assert speaker.gate.passes - before in (passes, passes + 1)
    with asking(spoken, "What moves?", max_tokens=1) as line:  # and the place is free
        speaker.gate.let(20)
        until(lambda: b"[DONE]" in line.recv(65536), PATIENCE)


def test_who_leaves_while_a_video_is_decoded_frees_the_decoder(red):
    app = create_app(make_assistant(), Settings(decode_threads=1, decode_seconds=3600))
    clips = app.state.service.clips
    with running(app) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as http:
        http.post("/v1/ask", files={"video": mp4_of("blue")}, data={"question": "Which colour?"})
        os.kill(clips._sandbox.process, signal.SIGSTOP)  # this decoding would take for ever
        with pytest.raises(httpx2.ReadTimeout):
            http.post("/v1/ask", files={"video": red}, data={"question": "Which colour?"}, timeout=1)
        answer = http.post("/v1/ask", files={"video": red}, data={"question": "Which colour?"})
        assert answer.json()["answer"] == "The video is red."


@pytest.fixture
def drawing():
    """A server that draws with long steps: its client, and the pen."""
    assistant = make_assistant(step_seconds=1.0)
    with running(create_app(assistant)) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as http:
        yield http, assistant.drawer


def read_until(line, words):
    """Read a stream as far as this."""
    seen = b""
    while words not in seen:
        seen += line.recv(65536)


def test_who_leaves_while_it_is_drawn_costs_one_more_step_at_most(drawing):
    http, pen = drawing
    with one_departure(http), asking(http, "Draw a red circle", video={"steps": 50}) as line:
        read_until(line, b'"in_progress"')
        steps = pen.steps
    until(lambda: pen.stopped == 1, PATIENCE)
    assert pen.steps <= steps + 1
    until(lambda: http.get("/v1/videos").json()["data"][0]["status"] == "failed", PATIENCE)
    [video] = http.get("/v1/videos").json()["data"]
    assert video["error"]["code"] == "cancelled"


def test_who_leaves_the_line_before_the_drawer_is_never_drawn(drawing):
    http, pen = drawing
    with asking(http, "Draw a red circle", video={"steps": 50}) as first:
        read_until(first, b'"in_progress"')
        with one_departure(http), asking(http, "Draw a blue square", video={"steps": 50}) as second:
            read_until(second, b'"queued"')
        until(lambda: {v["status"] for v in http.get("/v1/videos").json()["data"]} == {
            "in_progress", "failed"
        }, PATIENCE)  # fmt: skip
        assert pen.stopped == 0
    until(lambda: pen.stopped == 1, PATIENCE)
    assert isinstance(pen, Pen)


def test_fifty_slow_uploads_do_not_hold_up_a_chat():
    settings = Settings(body_idle_seconds=600)
    with running(create_app(make_assistant(), settings)) as url, ExitStack() as stack:
        host, port = urlsplit(url).netloc.split(":")
        head = (
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        )
        lines = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(50)]
        for line in lines:
            line.sendall(head)
        http = stack.enter_context(httpx2.Client(base_url=url, timeout=PATIENCE))
        for _ in range(5):
            for line in lines:
                line.sendall(b"x" * 1000)
            answer = http.post(
                "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hello"}]}
            )
            assert answer.status_code == 200
        for line in lines:  # all of them are still being taken in
            line.setblocking(False)
            with pytest.raises(BlockingIOError):
                line.recv(1)
