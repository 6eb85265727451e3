"""uvicorn's HTTP, and what it leaves out: a deadline for a request's headers, and errors in our one shape.

    connected, or the next request begins ---- headers whole? ---- the application
                                          \\-- not within `header_seconds`: the connection is closed

A client that sends a header a minute would otherwise keep a connection for ever. Bodies have their own guard
(`guards.BodyLimit`); how many connections one address may have is for a proxy in front.
"""

from __future__ import annotations

import asyncio
import json
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.errors import bad_request


class HttpProtocol(H11Protocol):
    """One connection."""

    header_seconds: ClassVar[float] = 20.0
    """Time for the headers of one request, in seconds."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its first headers are waited for."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Bytes came; with the last one of the headers the deadline is off."""
        self._wait()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets an error object, too."""
        self._stop_waiting()
        body = json.dumps(bad_request(msg, code="invalid_request").body).encode()
        length = str(len(body))
        headers = [("content-type", "application/json"), ("content-length", length), ("connection", "close")]
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self) -> None:
        if self._deadline is None and self.conn.their_state is h11.IDLE:
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
