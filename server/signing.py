"""Addresses that work without a key for a while: a player's `<video src>` can send no header.

    /v1/videos/video_1/content?variant=video&by=key_1&expires=1767225600&signature=…
                                |________________________________|
    HMAC-SHA-256 over the id, the variant, the key and the time, with a secret that all servers of one
    database share

An address shows one video in one form to whoever has it, until it expires or its key is revoked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select, text

from server.state import tables
from server.state.database import Database

SIGNED = re.compile(r"/v1/videos/(?P<id>[A-Za-z0-9_-]{1,64})/content")
"""The paths that can be signed."""


class Signer:
    """Signs addresses and knows its signatures again."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.time) -> None:
        """An address is good for `seconds` at most and for half of that at least."""
        self._step = max(1, int(seconds / 2))
        self._clock = clock
        self._secret = b""

    async def open(self, database: Database) -> None:
        """Take the secret from the database; the first server that comes makes it."""
        made = {"name": "signing", "value": secrets.token_hex(32)}
        query = text("INSERT INTO secrets (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING")
        await database.run(query.bindparams(**made))
        row = await database.one(select(tables.secrets.c.value).where(tables.secrets.c.name == "signing"))
        assert row is not None, "it was written a moment ago"
        self._secret = bytes.fromhex(row["value"])

    def signed(self, id: str, owner: str, variant: str = "video") -> str:
        """The address of a video's content. It stays the same for a while, so that players can keep it."""
        expires = (int(self._clock()) // self._step + 2) * self._step
        query = {"variant": variant, "by": owner, "expires": expires}
        return f"/v1/videos/{id}/content?{urlencode({**query, 'signature': self._sign(id, **query)})}"

    def signer_of(self, path: str, query: Mapping[str, str]) -> str | None:
        """The owner who signed this address; None where nobody did, or it has expired."""
        match = SIGNED.fullmatch(path)
        given, expires = query.get("signature", ""), query.get("expires", "")
        if match is None or not self._secret or not re.fullmatch(r"\d{1,12}", expires):
            return None
        owner, variant = query.get("by", ""), query.get("variant", "video")
        right = self._sign(match["id"], variant=variant, by=owner, expires=int(expires))
        if not hmac.compare_digest(given.encode(), right.encode()) or int(expires) < self._clock():
            return None
        return owner

    def _sign(self, id: str, **query: Any) -> str:
        message = "\n".join([id, *(f"{name}={query[name]}" for name in ("variant", "by", "expires"))])
        code = hmac.digest(self._secret, message.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(code).rstrip(b"=").decode()
