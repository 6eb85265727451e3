"""What browsers are told, and what is believed of them.

    answers      no guessing of content types, no frames, no referrer, nothing loaded from elsewhere
    origins      other sites' pages may call this server only where `cors_origins` names them
    hosts        an open server on loopback answers to its own names alone

The last two matter most where nobody is asked for a key: any page in a browser on the same machine can send
requests to 127.0.0.1, and one whose name was rebound to it could read the answers, too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ApiError
from server.guards import with_headers

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer that does not say otherwise: the page has a policy of its own."""


LONGEST_NAME = 253
"""Characters of a host's name (RFC 1035); what is longer is nobody's, and not kept."""


class SafeHeaders:
    """Adds what browsers should be told; `shared`: other sites may show what lies here."""

    def __init__(self, app: ASGIApp, shared: bool = False) -> None:
        self.app = app
        headers = SAFE | ({"Cross-Origin-Resource-Policy": "cross-origin"} if shared else {})
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = with_headers(message, self._headers)
            await send(message)

        await self.app(scope, receive, send_safely)


def demand_own_host(headers: Headers, hosts: Collection[str]) -> None:
    """A 403 unless `Host` is one of `hosts`, or a name of loopback where there are none; "*" is any."""
    host = _name(f"//{headers.get('host', '')}")
    if "*" in hosts or (host in hosts if hosts else is_loopback(host)):
        return
    message = "This server does not answer to that name; allowed_hosts can name it."
    raise ApiError(403, message, type="permission_error", code="host_not_allowed")


def demand_own_origin(headers: Headers, origins: Collection[str]) -> None:
    """A 403 for a request that a page of another site sent, unless that site is one of `origins`."""
    origin = headers.get("origin")
    if origin is None or origin in origins or origin.partition("://")[2] == headers.get("host"):
        return
    message = "Pages of other sites may not use this server; cors_origins can name them."
    raise ApiError(403, message, type="permission_error", code="origin_not_allowed")


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine, seen from itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _name(url: str) -> str:
    """The host in an address, without port and brackets; empty where there is none, or none that can be."""
    try:
        name = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return name if len(name) <= LONGEST_NAME else ""
