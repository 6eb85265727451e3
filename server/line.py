"""The line before the drawer. Jobs and chats stand in it alike, in the order in which they asked.

The drawer itself takes one after the other; this is how many it has, who they are, and how many are too many.
"""

from __future__ import annotations

from dataclasses import replace

from gpt4video.errors import Busy
from server.state.records import VideoRecord

COME_BACK = 10.0
"""Seconds after which a client may try again: a few drawings of the embedded model."""


class Line:
    """Everything that is being drawn or waits for it, by the ids of the videos."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._ids: dict[str, None] = {}

    def join(self, id: str) -> None:
        """Stand at the end. Raises `Busy` where the line is too long."""
        if len(self._ids) >= self._most:
            message = f"{self._most} videos are waiting already; try again later."
            raise Busy(message, retry_after=COME_BACK)
        self._ids[id] = None

    def leave(self, id: str) -> None:
        """Drawn, failed or gone."""
        self._ids.pop(id, None)

    def placed(self, record: VideoRecord) -> VideoRecord:
        """The record with how many come before it, as long as it waits."""
        waits = record.status == "queued" and record.id in self._ids
        return replace(record, queue_position=list(self._ids).index(record.id) if waits else None)
