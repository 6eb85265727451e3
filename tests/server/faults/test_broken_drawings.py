"""Whatever ends a drawing in its thread: that video has failed, the next is drawn, and the server lives.

A thread that hangs cannot be ended: its video has failed all the same, /health says so, and what waits is
kept for whoever can draw it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import torch
from web_stand_ins import make_assistant, running, until

from gpt4video.generation import DiffusersDrawer, DrawerConfig
from server.app import create_app
from server.settings import Settings
from tests.generation import tiny

ENDS = [
    SystemExit(1),
    MemoryError(),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    torch.OutOfMemoryError("out of memory"),
    GeneratorExit(),
]


class Trap:
    """Raises what it holds at the next step of a pipeline, once."""

    def __init__(self, unet: torch.nn.Module) -> None:
        self.holds: BaseException | None = None
        unet.register_forward_pre_hook(self._spring)

    def _spring(self, *_) -> None:
        held, self.holds = self.holds, None
        if held is not None:
            raise held


@pytest.fixture(scope="module")
def broken() -> Iterator[tuple[httpx2.Client, Trap]]:
    assistant = make_assistant()
    pipe = tiny.animatediff()
    config = DrawerConfig(width=32, height=32, num_frames=2, steps=2)
    assistant.drawer = drawer = DiffusersDrawer(pipe, config)
    with running(create_app(assistant)) as url, httpx2.Client(base_url=url, timeout=60) as http:
        yield http, Trap(pipe.unet)
    drawer.close()


def drawn(http: httpx2.Client) -> dict[str, object]:
    id = http.post("/v1/videos", json={"prompt": "a red circle"}).json()["id"]
    until(lambda: http.get(f"/v1/videos/{id}").json()["status"] in ("completed", "failed"), 60)
    return http.get(f"/v1/videos/{id}").json()


def chatted(http: httpx2.Client) -> dict[str, object]:
    body = {"messages": [{"role": "user", "content": "Draw a red circle"}]}
    [video] = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["videos"]
    return video


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
@pytest.mark.parametrize("draw", [drawn, chatted])
def test_a_drawing_whose_thread_breaks_has_failed_and_the_next_is_drawn(broken, draw, end):
    http, trap = broken
    trap.holds = end
    video = draw(http)
    assert (video["status"], video["error"]["code"]) == ("failed", "generation_failed")
    assert draw(http)["status"] == "completed"
    assert http.get("/health").status_code == 200


@contextmanager
def hanging(**settings) -> Iterator[tuple[httpx2.Client, Callable[[], None]]]:
    """A server whose drawer hangs in its first drawing, and what lets it go on."""
    assistant, pipe, goes_on = make_assistant(), tiny.animatediff(), threading.Event()
    config = DrawerConfig(width=32, height=32, num_frames=2, steps=2, stuck_seconds=0.2)
    assistant.drawer = drawer = DiffusersDrawer(pipe, config)
    pipe.unet.register_forward_pre_hook(lambda *_: goes_on.wait(120) and None)
    try:
        with (
            running(create_app(assistant, Settings(**settings))) as url,
            httpx2.Client(base_url=url, timeout=60) as http,
        ):
            yield http, goes_on.set
            goes_on.set()
    finally:
        goes_on.set()
        drawer.close()


def begun(http: httpx2.Client) -> Callable[[], dict[str, object]]:
    id = http.post("/v1/videos", json={"prompt": "a red circle"}).json()["id"]
    return lambda: http.get(f"/v1/videos/{id}").json()


def test_a_drawing_that_hangs_has_failed_and_what_waits_is_kept():
    with hanging(drawing_seconds=3.0) as (http, go_on):
        stuck, waiting = begun(http), begun(http)
        until(lambda: stuck()["status"] == "failed", 60)
        assert stuck()["error"]["code"] == "timeout"
        until(lambda: http.get("/health").status_code == 503, 60)
        assert "drawer hangs" in http.get("/health").json()["error"]["message"]
        video = chatted(http)
        assert (video["status"], video["error"]["code"]) == ("failed", "drawer_unavailable")
        time.sleep(4)  # longer than a drawing may take
        assert waiting()["status"] == "queued"
        go_on()
        until(lambda: waiting()["status"] == "completed", 60)
        assert http.get("/health").status_code == 200


def test_a_chat_that_waits_behind_a_drawing_that_hangs_is_told():
    with hanging() as (http, _), ThreadPoolExecutor() as threads:
        stuck = begun(http)
        until(lambda: stuck()["status"] == "in_progress", 60)
        video = threads.submit(chatted, http)
        time.sleep(0.5)
        http.post(f"/v1/videos/{stuck()['id']}/cancel")
        assert video.result(60)["error"]["code"] == "drawer_unavailable"


HANGING = """
import sys, threading
from web_stand_ins import make_assistant
from gpt4video.generation import DiffusersDrawer, DrawerConfig
from server import cli
from tests.generation import tiny

assistant, pipe = make_assistant(), tiny.animatediff()
assistant.drawer = DiffusersDrawer(pipe, DrawerConfig(width=32, height=32, num_frames=2, steps=2))
pipe.unet.register_forward_pre_hook(lambda *_: threading.Event().wait())
cli.loader = lambda config: lambda: assistant
sys.exit(cli.main(["serve", "--port", "0", "--data", sys.argv[1]]))
"""


def test_a_server_whose_drawer_hangs_ends_all_the_same(tmp_path):
    here = Path(__file__).resolve().parents[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here)]),
        "GPT4VIDEO_DRAIN_SECONDS": "1",
    }
    command = [sys.executable, "-c", HANGING, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url = process.stderr.readline().split()[3]
            with httpx2.Client(base_url=url, timeout=60) as http:
                until(lambda: http.get("/ready").status_code == 200, 60)
                drawing = begun(http)
                until(lambda: drawing()["status"] == "in_progress", 60)
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
