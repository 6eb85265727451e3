"""Whatever ends a drawing in its thread: that video has failed, the next is drawn, and the server lives."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
import torch
from web_stand_ins import make_assistant, running, until

from gpt4video.generation import DiffusersDrawer, DrawerConfig
from server.app import create_app
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
