"""Whatever ends a drawing in its thread: that video has failed, the next is drawn, and the server lives.

A thread that hangs cannot be ended: its video has failed all the same, /health says so, and what waits is kept
for whoever can draw it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

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


def test_a_drawing_that_hangs_has_failed_and_what_waits_is_kept():
    assistant, pipe, goes_on = make_assistant(), tiny.animatediff(), threading.Event()
    drawer = DiffusersDrawer(pipe, DrawerConfig(width=32, height=32, num_frames=2, steps=2))
    drawer.stuck_seconds = 0.2
    hook = pipe.unet.register_forward_pre_hook(lambda *_: goes_on.wait(120) and None)
    assistant.drawer = drawer
    app = create_app(assistant, Settings(drawing_seconds=0.3))
    with running(app) as url, httpx2.Client(base_url=url, timeout=60) as http:

        def begun():
            return http.post("/v1/videos", json={"prompt": "a red circle"}).json()["id"]

        def status(id):
            return http.get(f"/v1/videos/{id}").json()["status"]

        hanging = begun()
        until(lambda: status(hanging) == "failed", 60)
        assert http.get(f"/v1/videos/{hanging}").json()["error"]["code"] == "timeout"
        until(lambda: http.get("/health").status_code == 503, 60)
        assert "drawer" in http.get("/health").json()["error"]["message"]
        body = {"messages": [{"role": "user", "content": "Draw a red circle"}]}
        [video] = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["videos"]
        assert (video["status"], video["error"]["code"]) == ("failed", "generation_failed")
        waiting = begun()
        time.sleep(1.5)  # longer than it would take to begin, and to fail
        assert status(waiting) == "queued"
        hook.remove()
        goes_on.set()
        until(lambda: status(waiting) == "completed", 60)
        assert http.get("/health").status_code == 200
    drawer.close()
