"""What stands before every route: a request id, a cap on the body, safe headers; and who sees a client leave.

Pure ASGI, never `BaseHTTPMiddleware`: under that one a disconnect does not reach the handler.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable
from typing import TypeVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ApiError, ClientGone, answer

T = TypeVar("T")

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
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["OpenAI-Processing-Ms"] = str(round(1000 * (time.monotonic() - began)))
                headers["OpenAI-Version"] = "2020-10-01"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        return await self.app(scope, receive, send_with_id)


class BodyLimit:
    """Answers 413 to a body over `most` bytes, declared or counted, before anything reads it whole."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self.most:
            # A client that is still sending would see a broken pipe instead of the 413:
            # a body not far over the limit is read and dropped first.
            if int(declared) <= 2 * self.most:
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
            return await answer(Request(scope), self._too_large())(scope, receive, send)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most:
                raise self._too_large()
            return message

        return await self.app(scope, counted, send)

    def _too_large(self) -> ApiError:
        message = f"The body is larger than the {self.most / 1e6:.3g} MB that fit."
        return ApiError(413, message, code="request_too_large", headers={"Connection": "close"})


async def unless_gone(receive: Receive, work: Awaitable[T]) -> T:
    """What `work` gives, or `ClientGone` as soon as the client leaves; the work is cancelled then.

    A plain handler runs on to its end when nobody listens any more, so answers that cost are raced
    against the disconnect. The request's body must have been read.
    """
    job = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({job, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise ClientGone
        return job.result()
    finally:
        job.cancel()
        leaving.cancel()
        await asyncio.gather(job, leaving, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
