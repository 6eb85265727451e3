"""The life of one video as named Server-Sent Events, for those who would rather not poll.

snapshot   the video object as it is now, first of all
status     the same, each time the status changes        progress   each time the progress does
preview    {"id", "preview_url"}                         end        the last one; nothing follows it

Whoever draws it, here or in another process, writes to the database; this looks there. So polling and
watching tell the same, and a stream that broke is simply opened again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from server.state.records import VideoRecord

LOOK_EVERY = 0.25
"""Seconds between two looks."""

Look = Callable[[], Awaitable[dict[str, Any] | None]]
"""The video object as it is now; None once it is deleted."""


async def watched(look: Look, id: str, keep_alive: float) -> AsyncGenerator[bytes, None]:
    """The events of one video until it is completed, failed or deleted."""
    before = await look()
    if before is not None:
        yield event("snapshot", before)
    silent_since = time.monotonic()
    while before is not None and before["status"] not in VideoRecord.ENDS:
        await asyncio.sleep(LOOK_EVERY)
        after = await look()
        for line in _news(before, after):
            silent_since = time.monotonic()
            yield line
        before = after
        if time.monotonic() - silent_since >= keep_alive:
            silent_since = time.monotonic()
            yield b": keep-alive\n\n"
    yield event("end", before or {"id": id, "object": "video.deleted", "deleted": True})


def _news(before: dict[str, Any], after: dict[str, Any] | None) -> list[bytes]:
    """What has changed between two looks."""
    if after is None:
        return []
    news = []
    for name in ("status", "progress"):
        if after[name] != before[name]:
            news.append(event(name, after))
    if after["preview_url"] and after["preview_url"] != before["preview_url"]:
        news.append(event("preview", {"id": after["id"], "preview_url": after["preview_url"]}))
    return news


def event(name: str, value: Any) -> bytes:
    """One named event."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
