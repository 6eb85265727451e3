"""Routes that create, asked for twice: see `state/creations.py`.

return await once(request, what, id, make, found)       what: all that makes one request another
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.errors import ApiError, bad_request
from server.service import owner_of, service_of
from server.state.creations import Asked, Begun, Found

log = logging.getLogger("gpt4video.server")

GOOD_KEY = re.compile(r"[\x21-\x7e]{1,255}")


async def nothing(id: str) -> None:
    """For what is made and kept nowhere: there is nothing to be found."""


async def once(
    request: Request,
    what: object,
    make: Callable[[str], Awaitable[dict[str, Any]]],
    new_id: Callable[[], str],
    found: Found = nothing,
) -> Response:
    """The answer of `make(id)`, or the one that an equal request was given before.

    `what` is plain data, or bytes: requests are equal when theirs are. The id is of what is made; `found(id)`
    tells of it, if it is there. What `make` raises is not kept.
    """
    creations = service_of(request).creations
    begun = await creations.begin(_asked(request, what), new_id(), found)
    if not isinstance(begun, Begun):
        return JSONResponse(begun, headers={"Idempotent-Replayed": "true"})
    try:
        answer = await make(begun.object_id)
    except BaseException:  # the client may have left, too: then the work was stopped
        with suppress(ApiError):  # what cannot be taken back now runs out
            await asyncio.shield(creations.undone(begun))
        raise
    try:
        await creations.done(begun, answer)
    except ApiError as error:  # it is made: who asks again finds it by its id
        log.warning("An answer was not kept for those who ask again: %s", error.detail)
    return JSONResponse(answer)


def names_a_key(request: Request) -> bool:
    """Whether the client wants to be able to ask twice."""
    return "idempotency-key" in request.headers


def _asked(request: Request, what: object) -> Asked:
    key = request.headers.get("idempotency-key")
    if key is not None and not GOOD_KEY.fullmatch(key):
        message = "Idempotency-Key must be 1 to 255 visible ASCII characters."
        raise bad_request(message, param="Idempotency-Key")
    body = json.dumps(what, sort_keys=True, default=str).encode()
    count = request.headers.get("x-stainless-retry-count", "0")
    return Asked(
        owner=owner_of(request),
        route=request.url.path[:64],
        body_sha256=hashlib.sha256(body).hexdigest(),
        key=key,
        resent=count.isdecimal() and int(count) > 0,
    )
