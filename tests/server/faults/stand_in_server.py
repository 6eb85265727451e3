"""A server process for the fault tests: the real server around stand-in parts that wait to be told to go on.

    python stand_in_server.py '{"data_dir": …, "database_url": …, "name": "a", …}'

Prints its port. Files in the folder `steering` steer it: while `hold-drawing` exists no drawing gets past its
first step, and while `hold-storing` exists none gets from its bytes to its record; `storing` says that one is
there. What it has drawn it writes into `drawn-NAME`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
from dataclasses import fields
from pathlib import Path

import uvicorn
from web_stand_ins import Pen, make_assistant

from gpt4video.interfaces import Step
from server.app import create_app
from server.settings import Settings
from server.state.blobs import Draft


class HeldPen(Pen):
    """Draws when it may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(step_seconds=0.0)
        self.folder = folder

    async def _draw(self, request):
        async for step in super()._draw(request):
            while isinstance(step, Step) and step.step > 1 and (self.folder / "hold-drawing").exists():
                await asyncio.sleep(0.02)
            yield step


def main() -> None:
    given = json.loads(sys.argv[1])
    folder = Path(given["data_dir"])
    if most := given.get("largest_file"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    known = {field.name for field in fields(Settings)}
    settings = Settings(**{k: v for k, v in {**given, "data_dir": folder}.items() if k in known})
    steering = Path(given["steering"])
    assistant = make_assistant()
    assistant.drawer = HeldPen(steering)
    app = create_app(assistant, settings)
    service = app.state.service
    keep = service.blobs.keep

    async def held_keep(draft: Draft) -> str:
        key = await keep(draft)
        if draft.media_type == "video/mp4":
            with (steering / f"drawn-{given['name']}").open("a") as file:
                file.write(f"{key}\n")
            (steering / "storing").touch()
            while (steering / "hold-storing").exists():
                await asyncio.sleep(0.02)
        return key

    service.blobs.keep = held_keep
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
