"""Limits on their way over HTTP: a 429 before anything begins, and on every /v1 answer what is left.

Work is what counts: POST. Looking at a job every half second is free, or polling would eat a key's minute.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ApiError, answer
from server.limits import Ledger
from server.settings import Limits

NONE = Limits()


class Meter:
    """Admits requests while their key has room; stands behind the door, which says whose they are."""

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self.app = app
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["limits"] == NONE or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        owner, limits = scope["owner"], scope["limits"]
        account = self._ledger.know(owner, limits)

        async def send_with_what_is_left(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(await self._ledger.headers(owner))
            await send(message)

        works = scope["method"] == "POST"
        if works:
            try:
                account.admit()
            except ApiError as error:
                return await answer(Request(scope), error)(scope, receive, send_with_what_is_left)
        account.under_way += works
        try:
            await self.app(scope, receive, send_with_what_is_left)
        finally:
            account.under_way -= works
