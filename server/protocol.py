"""uvicorn's HTTP, and what it leaves out: limits on what is no body, and errors in our one shape.

    connected, or the next request begins ---- headers whole? ---- body ---- trailers ---- the application
                                          \\-- not within `header_seconds`: the connection is closed
    more than `HEAD_BYTES` in a row that are no body: a 400, and the connection is closed

A client that sends a header a minute would otherwise keep a connection for ever, and one that never stops
sending them would fill the memory. Bodies have their own guard (`guards.BodyLimit`); how many connections one
address may have is for a proxy in front.
"""

from __future__ import annotations

import asyncio
import json
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.errors import bad_request

HEAD_BYTES = 1 << 16
"""The longest request line with headers, and the longest trailers. What comes in one piece may be longer."""


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    header_seconds: ClassVar[float] = 20.0
    """Time for the headers of one request, in seconds."""
    _deadline: asyncio.TimerHandle | None = None
    _no_body = 0
    """How many bytes came in a row that are no body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there: its first headers are waited for."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Bytes came; with the last one of the headers the deadline is off."""
        self._wait()
        self._no_body += len(data)
        super().data_received(data)
        if not self._between:
            self._stop_waiting()
        if self._no_body > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The headers are longer than the {HEAD_BYTES} bytes that fit.")

    def on_body(self, body: bytes) -> None:
        """A piece of a body was read."""
        self._no_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request was read to its end."""
        self._no_body = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets an error object, too."""
        self._stop_waiting()
        body = json.dumps(bad_request(msg, code="invalid_request").body).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.transport.close()

    @property
    def _between(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._deadline is None and self._between:
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
