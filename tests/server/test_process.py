"""The process: SIGTERM lets what is under way end, refuses the rest, and ends with status 0."""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import httpx2
import pytest
from web_stand_ins import until

CODE = """
import socket, sys
sys.path[:0] = ["tests/server", "."]
from web_stand_ins import make_assistant
from server.app import create_app
from server.process import Server
from server.settings import Settings
settings = Settings(drain_seconds=float(sys.argv[1]))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
Server(create_app(make_assistant(step_seconds=0.2), settings)).run(sockets=[listener])
"""


@pytest.fixture
def start():
    """Start a server in a process of its own with so many seconds to drain; the process and its address."""
    processes = []

    def start(drain_seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(drain_seconds)], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        return process, f"http://127.0.0.1:{process.stdout.readline().strip()}"

    yield start
    for process in processes:
        process.kill()
        process.wait(30)


def words(count):
    messages = [{"role": "user", "content": "talk forever"}]
    return {"messages": messages, "stream": True, "max_tokens": count}


class Reading(threading.Thread):
    """A client that reads one streamed answer to its end."""

    def __init__(self, url, count):
        super().__init__(daemon=True)
        self.url, self.count, self.lines = url, count, []
        self.start()
        until(lambda: self.lines, 60)

    def run(self):
        with (
            suppress(httpx2.RemoteProtocolError),
            httpx2.stream(
                "POST", f"{self.url}/v1/chat/completions", json=words(self.count), timeout=60
            ) as told,
        ):
            for line in told.iter_lines():
                self.lines.append(line)


def test_what_is_under_way_ends_and_new_work_is_refused(start):
    process, url = start(60)
    reading = Reading(url, 150)
    video = httpx2.post(f"{url}/v1/videos", data={"prompt": "a red circle"}).json()
    process.send_signal(signal.SIGTERM)
    until(lambda: httpx2.get(f"{url}/ready").status_code == 503, 20)
    assert httpx2.get(f"{url}/ready").json()["error"]["code"] == "shutting_down"
    assert httpx2.get(f"{url}/health").status_code == 200, "it is well, only leaving"
    refused = httpx2.post(f"{url}/v1/chat/completions", json=words(1))
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
    assert refused.headers["retry-after"] and refused.headers["connection"] == "close"
    assert httpx2.get(f"{url}/v1/videos/{video['id']}").status_code == 200
    reading.join(60)
    data = [json.loads(line[6:]) for line in reading.lines if line.startswith("data: {")]
    assert sum(bool(chunk["choices"][0]["delta"].get("content")) for chunk in data) == 150
    assert reading.lines[-2] == "data: [DONE]"
    assert process.wait(60) == 0


def test_what_takes_too_long_is_not_waited_for(start):
    process, url = start(0.5)
    Reading(url, 100_000)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert time.monotonic() - began < 30


def test_a_second_signal_ends_it_at_once(start):
    process, url = start(600)
    Reading(url, 100_000)
    process.send_signal(signal.SIGTERM)
    until(lambda: httpx2.get(f"{url}/ready").status_code == 503, 20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
