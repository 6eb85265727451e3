"""Kept bytes on their way out: whole, by `Range`, or not at all where the client has them already.

no Range, or one that is none    200        one range     206        several ranges   200, whole
If-None-Match: the same ETag     304        out of bounds 416, an error object like every other
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from server.errors import ApiError
from server.state.blobs import Asset, Blobs

ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")


def sent(request: Request, blobs: Blobs, asset: Asset, filename: str, **how: Any) -> Response:
    """The answer that gives these bytes to this request."""
    etag = f'"{asset.sha256}"'
    known = re.findall(r'"[^"]*"|\*', request.headers.get("if-none-match", ""))
    if etag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": etag, **how.get("headers", {})})
    if not _in_bounds(request.headers.get("range", ""), asset.size):
        # A range that cannot be read is as none (RFC 9110, 14.2).
        request.scope["headers"] = [h for h in request.scope["headers"] if h[0] != b"range"]
    return blobs.response(asset, filename, **how)


def _in_bounds(header: str, size: int) -> bool:
    """Whether this is one range of so many bytes; a 416 for one that lies outside of them."""
    match = ONE_RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return False
    first, last = match.groups()
    if first and last and int(first) > int(last):
        return False
    if int(first) >= size if first else int(last) == 0:
        message = f"There are {size} bytes; this range is outside of them."
        headers = {"Content-Range": f"bytes */{size}"}
        raise ApiError(416, message, code="range_not_satisfiable", param="Range", headers=headers)
    return True
