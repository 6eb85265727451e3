"""The server's process: uvicorn, but SIGTERM lets what is under way end first.

SIGTERM    /ready is 503 and new work is refused; answers and drawings under way end, up to `drain_seconds`;
           then the listening socket closes and the process ends with status 0
SIGTERM again, or SIGINT (Ctrl-C)     ends now: streams are cut, unfinished jobs go back to the queue
"""

from __future__ import annotations

import asyncio
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from server.protocol import HttpProtocol

if TYPE_CHECKING:
    from fastapi import FastAPI

    from server.service import Service

LAST_SECONDS = 5
"""How long connections may take to close once the server ends, in seconds."""


class Server(uvicorn.Server):
    """uvicorn around one app of ours."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
        super().__init__(config)
        self._service: Service = app.state.service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._finishing: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        elif self._loop is None or self._service.drain.begun:
            self.should_exit = True
        else:
            self._service.drain.begun = True
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._finishing = asyncio.get_running_loop().create_task(self._finish_and_end())

    async def _finish_and_end(self) -> None:
        try:
            await self._service.finish()
        finally:
            self.should_exit = True
