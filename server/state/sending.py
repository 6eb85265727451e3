"""Bytes of a blob on their way out, from a folder or a bucket alike: whole, or one `Range` of them.

The size and the hash are known from the database, so nothing is asked of the store before it is read. Bytes
that were deleted in the meantime are a 404.
"""

from __future__ import annotations

import asyncio
import re
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from server.errors import ApiError

PIECE = 256 * 1024
"""Bytes read and sent at a time."""
RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*")


class BlobResponse(Response):
    """The bytes at `place` of a file system of fsspec's; `size` of them, with `ETag` for what they are."""

    def __init__(
        self,
        fs: Any,
        place: str,
        size: int,
        filename: str,
        *,
        media_type: str,
        headers: dict[str, str],
        content_disposition_type: str = "attachment",
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self.headers["Accept-Ranges"] = "bytes"
        name = quote(filename)
        how = f'filename="{filename}"' if name == filename else f"filename*=utf-8''{name}"
        self.headers["Content-Disposition"] = f"{content_disposition_type}; {how}"
        self._fs, self._place, self._size = fs, place, size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start, end, status = self._asked(Headers(scope=scope))
        headers = MutableHeaders(raw=list(self.raw_headers))
        headers["Content-Length"] = str(end - start)
        headers["Date"] = formatdate(usegmt=True)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{self._size}"
        answer = {"type": "http.response.start", "status": status, "headers": headers.raw}
        if scope["method"] == "HEAD":
            await send(answer)
            return await send({"type": "http.response.body", "body": b""})
        try:
            file = await asyncio.to_thread(self._fs.open, self._place, "rb")
        except FileNotFoundError:
            raise ApiError(404, "These bytes are not here any more.", code="content_not_found") from None
        try:
            await asyncio.to_thread(file.seek, start)
            await send(answer)
            while start < end:
                piece = await asyncio.to_thread(file.read, min(PIECE, end - start))
                assert piece, "the database knows how many bytes there are"
                start += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await asyncio.to_thread(file.close)

    def _asked(self, headers: Headers) -> tuple[int, int, int]:
        """From where, to where, and the status that says so. No range of these bytes means all of them."""
        everything = (0, self._size, 200)
        match = RANGE.fullmatch(headers.get("range", ""))
        if match is None or headers.get("if-range", self.headers["ETag"]) != self.headers["ETag"]:
            return everything
        first, last = match.groups()
        if first:
            start, end = int(first), min(int(last) + 1 if last else self._size, self._size)
        elif last:
            start, end = max(0, self._size - int(last)), self._size
        else:
            return everything
        return (start, end, 206) if start < end else everything
