"""Who asks: every request gets an owner here, or goes no further.

    /health /ready /version / /web/… /metrics     anybody          nothing of anybody's is behind them
    an open server (no key was ever made)         "local"          by its own name, from its own pages
    Authorization: Bearer g4v_…                   the key's id     else 401
    …/content?expires=…&signature=…               the signer       players send no header; see signing.py

`scope["owner"]` and `scope["limits"]` are what the rooms behind need to know. What one owner made, another
cannot see: the stores take the owner with every look-up.
"""

from __future__ import annotations

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.errors import ApiError, answer, as_api_error
from server.keys import Key, Keys
from server.origin import demand_own_host, demand_own_origin
from server.settings import Limits, Settings
from server.signing import Signer
from server.state.records import LOCAL

NOBODY = "nobody"
"""The owner of nothing: who asks for what is open to all."""

OPEN = ("/", "/health", "/ready", "/version")
"""Paths that need no key: probes, and the page, which asks for one itself."""


class Door:
    """Finds out who asks."""

    def __init__(self, app: ASGIApp, keys: Keys, signer: Signer, settings: Settings) -> None:
        self.app = app
        self._keys = keys
        self._signer = signer
        self._settings = settings
        self._open = OPEN if settings.metrics_need_a_key else (*OPEN, "/metrics")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            scope["owner"], scope["limits"] = await self._who(scope)
        except Exception as error:
            return await answer(Request(scope), as_api_error(error))(scope, receive, send)
        return await self.app(scope, receive, send)

    async def _who(self, scope: Scope) -> tuple[str, Limits]:
        """The owner and what they may use. Raises an `ApiError` for whoever may not come in."""
        headers, path = Headers(scope=scope), scope["path"]
        if not self._settings.demand_keys and not await self._keys.exist():
            demand_own_host(headers, self._settings.allowed_hosts)
            demand_own_origin(headers, self._settings.cors_origins)
            return LOCAL, self._settings.limits
        if path in self._open or path.startswith("/web/"):
            return NOBODY, self._settings.limits
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            key = await self._keys.find(secret.strip())
        elif "signature" in (query := QueryParams(scope["query_string"])):
            key = await self._signed(scope, query)
        else:
            raise no_key("This server wants a key: Authorization: Bearer g4v_…")
        if key is None:
            raise no_key("Nobody here knows this key; it may have been revoked.")
        return key.id, self._keys.limits(key)

    async def _signed(self, scope: Scope, query: QueryParams) -> Key | None:
        signer = self._signer.signer_of(scope["path"], query)
        if signer is None or scope["method"] not in ("GET", "HEAD"):
            message = "This address has expired, or it was changed; ask for the video to get a new one."
            raise ApiError(403, message, type="permission_error", code="invalid_signature")
        return await self._keys.by_id(signer)


def no_key(message: str) -> ApiError:
    """A 401 that says how to ask."""
    challenge = {"WWW-Authenticate": "Bearer"}
    return ApiError(401, message, type="authentication_error", code="invalid_api_key", headers=challenge)
