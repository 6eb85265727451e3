"""API keys: made once, shown once, kept as digests.

    g4v_…  (256 random bits) --- SHA-256 ---> digest in the table `keys`, named and limited

A key that is random in every bit needs no slow hash and no salt. It is found by its digest, and digests are
compared in constant time. A revoked key keeps its row: a server that ever had keys never becomes an open one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from gpt4video.errors import InputError
from server.settings import Limits
from server.state import tables
from server.state.database import Database

PREFIX = "g4v_"
GOOD_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
ANY = select(tables.keys.c.id).limit(1)
REMEMBERED = 1.0
"""Seconds for which a key that was found is not looked up again: so long may one still work that another
process has revoked."""


@dataclass(frozen=True)
class Key:
    """What is kept of a key."""

    id: str
    name: str
    created_at: float
    revoked_at: float | None
    overrides: Mapping[str, float | None]
    """Limits that are its own; the others are the server's."""

    def as_json(self) -> dict[str, Any]:
        """As `gpt4video keys --json` prints it."""
        return {**asdict(self), "object": "api_key"}


class Keys:
    """The keys of one database."""

    def __init__(self, database: Database, defaults: Limits | None = None) -> None:
        self._database = database
        self._defaults = defaults or Limits()
        self._found: dict[str, tuple[Key, float]] = {}
        self._none_until = 0.0

    async def create(self, name: str, overrides: Mapping[str, float | None]) -> tuple[Key, str]:
        """A new key, and its secret, which nobody can show again. Raises `InputError`."""
        if not name.strip() or len(name) > 100:
            raise InputError("A key's name must have 1 to 100 characters.")
        self._limits(overrides)
        secret = PREFIX + secrets.token_urlsafe(32)
        key = Key(f"key_{secrets.token_hex(8)}", name, time.time(), None, dict(overrides))
        row = {
            "id": key.id,
            "name": name,
            "digest": digest(secret),
            "created_at": key.created_at,
            "limits": key.overrides,
        }
        await self._database.run(insert(tables.keys).values(row))
        return key, secret

    async def all(self) -> list[Key]:
        """Every key that was ever made, the oldest first."""
        rows = await self._database.rows(select(tables.keys).order_by(tables.keys.c.created_at))
        return [_key(row) for row in rows]

    async def revoke(self, id: str) -> Key:
        """Make a key useless, by its id or by a name that only one has. Raises `InputError`."""
        keys = await self.all()
        meant = [key for key in keys if key.id == id] or [
            key for key in keys if key.name == id and key.revoked_at is None
        ]
        if len(meant) != 1:
            told = "There is no key" if not meant else f"{len(meant)} keys have the name"
            raise InputError(f"{told} {id[:100]!r}; `gpt4video keys list` shows their ids.")
        key = meant[0] if meant[0].revoked_at else replace(meant[0], revoked_at=time.time())
        await self._database.run(
            update(tables.keys).where(tables.keys.c.id == key.id).values(revoked_at=key.revoked_at)
        )
        self._found = {value: found for value, found in self._found.items() if found[0].id != key.id}
        return key

    async def exist(self) -> bool:
        """Whether any key was ever made."""
        if self._none_until > time.monotonic():
            return False
        found = self._none_until < 0 or await self._database.at_once(ANY) is not None
        # Rows never go, so a yes is for ever; a no is asked again soon.
        self._none_until = -1.0 if found else time.monotonic() + REMEMBERED
        return found

    async def find(self, secret: str) -> Key | None:
        """The key with this secret, unless it was revoked."""
        if not GOOD_KEY.fullmatch(secret):
            return None
        return await self._lookup("digest", digest(secret))

    async def by_id(self, id: str) -> Key | None:
        """The key with this id, unless it was revoked."""
        return await self._lookup("id", id)

    def limits(self, key: Key | None) -> Limits:
        """What a key may use: its own limits over the server's."""
        return self._limits(key.overrides) if key else self._defaults

    async def _lookup(self, column: str, value: str) -> Key | None:
        known = self._found.get(value)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        row = await self._database.one(select(tables.keys).where(tables.keys.c[column] == value))
        if row is None or row["revoked_at"] is not None or not hmac.compare_digest(row[column], value):
            self._found.pop(value, None)
            return None
        key = _key(row)
        self._found[value] = key, time.monotonic() + REMEMBERED
        return key

    def _limits(self, overrides: Mapping[str, float | None]) -> Limits:
        return replace(self._defaults, **overrides)  # type: ignore[arg-type]


LIMITS = tuple(field.name for field in fields(Limits))
"""The names of what can be limited."""


def digest(secret: str) -> str:
    """What is kept of a secret, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: RowMapping) -> Key:
    return Key(row["id"], row["name"], row["created_at"], row["revoked_at"], row["limits"])
