"""Bytes by their hash, in a folder or in a bucket (`s3://…`), through fsspec.

    draft    bytes on their way in: a local file beside the others, hashed while it is written
    keep     draft -> blob: moved or uploaded to its key, whole or not at all
    drop     key -> nothing

A key is the SHA-256 and a few random letters: `ab/abcd….5f3a`. The letters are why nothing can go wrong
between one who deletes the last record of some bytes and one who posts the same bytes again: the second gets
a key of its own, which the first never touches. The database says which key is the blob's (`shelf.py`); files
that it does not know are orphans, of a server that was killed, and are swept when they are old.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from gpt4video.errors import ConfigError
from server.state.sending import BlobResponse

CHUNK = 1 << 20


@dataclass(frozen=True)
class Asset:
    """Bytes of a record that can be fetched: the thing itself, or a picture of it."""

    key: str
    size: int
    sha256: str
    media_type: str


@dataclass
class Draft:
    """Bytes that are here and belong to nobody yet."""

    path: Path
    size: int = 0
    sha256: str = ""
    media_type: str = "application/octet-stream"

    async def copy(self, source: BinaryIO) -> None:
        """Take all of `source`."""
        await asyncio.to_thread(self._fill, iter(lambda: source.read(CHUNK), b""))

    async def write(self, data: bytes) -> None:
        """Take these bytes."""
        await asyncio.to_thread(self._fill, [data])

    def _fill(self, pieces: Iterable[bytes]) -> None:
        digest, length = hashlib.sha256(), 0
        with self.path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                length += len(piece)
            file.flush()
            os.fsync(file.fileno())
        self.size, self.sha256 = length, digest.hexdigest()


class Blobs:
    """A folder or bucket of blobs, and the local folder of what is on its way there."""

    def __init__(self, url: str, incoming: Path | None = None) -> None:
        """`incoming` is where drafts lie if the blobs are elsewhere. Raises `ConfigError` for other URLs."""
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            fits = "in a folder or under s3://BUCKET/PREFIX (pip install 'gpt4video[s3]')"
            raise ConfigError(f"Blobs must lie {fits}: {error}") from error
        self.local = "file" in _protocols(self._fs)
        self._incoming = Path(self._root) / "incoming" if self.local or incoming is None else incoming

    async def open(self) -> None:
        """Make the folders."""
        await asyncio.to_thread(self._incoming.mkdir, parents=True, exist_ok=True)
        await self._call(lambda: self._fs.makedirs(self._root, exist_ok=True))

    @asynccontextmanager
    async def draft(self, media_type: str = "application/octet-stream") -> AsyncGenerator[Draft, None]:
        """A draft, which is gone at the end unless it was kept."""
        handle, name = await asyncio.to_thread(tempfile.mkstemp, suffix=".part", dir=self._incoming)
        os.close(handle)
        try:
            yield Draft(Path(name), media_type=media_type)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()

    async def keep(self, draft: Draft) -> str:
        """Put the bytes in their place; returns the key."""
        key = f"{draft.sha256[:2]}/{draft.sha256}.{secrets.token_hex(4)}"

        def move() -> None:
            if self.local:
                Path(self._place(key)).parent.mkdir(exist_ok=True)
                draft.path.replace(self._place(key))
            else:
                self._fs.put_file(str(draft.path), self._place(key))

        await self._call(move)
        return key

    async def drop(self, keys: Iterable[str]) -> None:
        """Remove bytes; those that are gone already are no error."""
        for key in keys:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(self._fs.rm_file, self._place(key))

    async def read(self, key: str) -> bytes:
        """All bytes of a blob. Raises FileNotFoundError."""
        return await self._call(lambda: self._fs.cat_file(self._place(key)))

    def response(self, asset: Asset, filename: str, **how: Any) -> BlobResponse:
        """The bytes as an answer: whole, or by `Range`."""
        headers = {"ETag": f'"{asset.sha256}"', **how.pop("headers", {})}
        how.setdefault("media_type", asset.media_type)
        return BlobResponse(self._fs, self._place(asset.key), asset.size, filename, headers=headers, **how)

    async def old(self, seconds: float) -> list[str]:
        """Keys of files that are older than this, drafts left out."""
        return await self._call(lambda: [key for key, age in self._ages() if age >= seconds])

    def _ages(self) -> Iterable[tuple[str, float]]:
        """Every key, and the seconds since it was written."""
        self._fs.invalidate_cache()  # other servers write here, too
        for place, facts in self._fs.find(self._root, detail=True).items():
            key = str(place)[len(str(self._root)) :].lstrip("/")
            if not key.startswith("incoming/"):
                yield key, time.time() - _written(facts)

    async def drop_old_drafts(self, seconds: float) -> None:
        """Remove drafts that nobody has written to for so long: their server is dead."""

        def sweep() -> None:
            for path in self._incoming.glob("*.part"):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime >= seconds:
                        path.unlink()

        await asyncio.to_thread(sweep)

    def _place(self, key: str) -> str:
        return f"{self._root}/{key}"

    async def _call(self, work: Callable[[], Any]) -> Any:
        """Blocking work of fsspec's in a thread."""
        return await asyncio.to_thread(work)


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _written(facts: dict[str, Any]) -> float:
    """When a file was written: `mtime` of a folder's, `LastModified` of a bucket's."""
    if (when := facts.get("mtime")) is not None:
        return float(when)
    return float(facts["LastModified"].timestamp())
