"""What stands before every route, and who sees a client leave.

    RequestId    an id for the answer, the log and the traces
    Draining     a server that is about to end takes no new work
    Deadline     no request takes for ever
    BodyLimit    bodies are not too long, not too slow, and not too many at once

Pure ASGI, never `BaseHTTPMiddleware`: under that one a disconnect does not reach the handler.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ApiError, ClientGone, answer

T = TypeVar("T")

PROBES = ("/health", "/ready", "/metrics", "/version")
"""Paths that machines ask: they are answered to the end, and nobody waits for them."""
SHORT = 1 << 16
"""Bodies up to so many bytes are no uploads: conversations in words."""

GOOD_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestId:
    """Echoes a well-formed `X-Request-Id`, mints one otherwise; `scope["request_id"]` holds it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if GOOD_REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope["request_id"] = request_id
        began = time.monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = round(1000 * (time.monotonic() - began))
                more = (
                    (b"x-request-id", request_id.encode()),
                    (b"openai-processing-ms", b"%d" % took),
                    (b"openai-version", b"2020-10-01"),
                )
                message = with_headers(message, more)
            await send(message)

        return await self.app(scope, receive, send_with_id)


def with_headers(message: Message, headers: Iterable[tuple[bytes, bytes]]) -> Message:
    """The start of an answer with these headers, too, where it does not have them; names in lower case.

    On every answer, so without `MutableHeaders`, which looks through all headers for each.
    """
    said = {name for name, _ in message["headers"]}
    more = (header for header in headers if header[0] not in said)
    return {**message, "headers": [*message["headers"], *more]}


class Draining:
    """Counts what is under way; once the end has `begun`, new work is refused and what is there goes on."""

    def __init__(self, app: ASGIApp, state: Drain) -> None:
        self.app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            return await self.app(scope, receive, send)
        if self._state.begun and scope["method"] == "POST":
            return await answer(Request(scope), shutting_down())(scope, receive, send)
        self._state.under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._state.under_way -= 1


@dataclass
class Drain:
    """Whether the server is about to end, and how many requests it still answers."""

    begun: bool = False
    under_way: int = 0


def shutting_down() -> ApiError:
    """A 503 of a server that is about to end; another one, or the next, will answer."""
    message = "This server is about to stop; try again in a moment."
    headers = {"Retry-After": "5", "Connection": "close"}
    return ApiError(503, message, type="server_error", code="shutting_down", headers=headers)


class Deadline:
    """Ends a request after so many seconds: a 504, or where a stream has begun an error in it.

    What works on the answer is cancelled, as when its client leaves.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started: Headers | None = None

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = Headers(raw=message["headers"])
            await send(message)

        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                await self.app(scope, receive, watched)
        except TimeoutError:
            if not timer.expired():
                raise
            error = ApiError(
                504,
                f"The answer took longer than the {self._seconds:g} seconds it may take.",
                type="server_error",
                code="timeout",
            )
            if started is None:
                return await answer(Request(scope), error)(scope, receive, send)
            if not started.get("content-type", "").startswith("text/event-stream"):
                raise
            body = f"data: {json.dumps(error.body)}\n\ndata: [DONE]\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": False})


class BodyLimit:
    """Answers 413 to a body over `most` bytes, declared or counted, before anything reads it whole.

    408 to one that stops coming for `idle` seconds, and 503 where `uploads` long ones are coming already.
    """

    def __init__(self, app: ASGIApp, most: int, idle: float, uploads: int) -> None:
        self.app = app
        self.most = most
        self._idle = idle
        self._uploads = uploads
        self._coming = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.most:
            # A client that is still sending would see a broken pipe instead of the 413:
            # a body not far over the limit is read and dropped first.
            if int(declared) <= 2 * self.most:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._idle):
                        while (await receive()).get("more_body"):
                            pass
            return await answer(Request(scope), self._too_large())(scope, receive, send)
        long = "transfer-encoding" in headers or (declared.isdigit() and int(declared) > SHORT)
        if long and self._coming >= self._uploads:
            return await answer(Request(scope), self._too_many())(scope, receive, send)
        seen, whole = 0, False
        self._coming += long

        async def counted() -> Message:
            nonlocal seen, whole
            try:
                # After the body comes the client's leaving: waited for as long as the work takes.
                async with asyncio.timeout(None if whole else self._idle):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            seen += len(message.get("body", b""))
            if seen > self.most:
                raise self._too_large()
            if not whole and not message.get("more_body"):
                whole = True
                self._coming -= long
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            if not whole:
                self._coming -= long

    def _too_large(self) -> ApiError:
        message = f"The body is larger than the {self.most / 1e6:.3g} MB that fit."
        return ApiError(413, message, code="request_too_large", headers={"Connection": "close"})

    def _too_slow(self) -> ApiError:
        message = f"Nothing of the body came for {self._idle:g} seconds."
        return ApiError(408, message, code="request_timeout", headers={"Connection": "close"})

    def _too_many(self) -> ApiError:
        message = f"{self._uploads} uploads are coming in already; try again in a moment."
        headers = {"Retry-After": "2", "Connection": "close"}
        return ApiError(503, message, type="server_error", code="queue_full", headers=headers)


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """What `work` gives, or `ClientGone` as soon as the client leaves; the work is cancelled then.

    A plain handler runs on to its end when nobody listens any more, so answers that cost are raced
    against the disconnect. The request's body must have been read.
    """
    # A deadline that comes when the client leaves: asyncio tells it from what others cancel.
    staying = asyncio.timeout(None)

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        staying.reschedule(0)

    watching = asyncio.ensure_future(watch())
    try:
        async with staying:
            return await work
    except TimeoutError:
        if not staying.expired():
            raise
        raise ClientGone from None
    finally:
        watching.cancel()
