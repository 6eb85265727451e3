"""One line for each record: words for people, JSON for machines. Prompts are in neither.

text    INFO: The model is loaded.
json    {"time": "2026-01-31T12:00:00.123Z", "level": "info", "logger": "gpt4video.server",
         "message": "…", "request_id": "req_…"}       a request's line adds method, route, status, ms, key
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that a record belongs to; tasks and `asyncio.to_thread` inherit it."""


class JsonLines(logging.Formatter):
    """One JSON object in one line, whatever is in the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, with `facts` of `extra` and the request's id where there are any."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)


FORMATS: dict[str, tuple[logging.Formatter, int]] = {
    "text": (logging.Formatter("%(levelname)s: %(message)s"), logging.WARNING),
    "json": (JsonLines(), logging.INFO),
}
"""How records look, and from which level on requests have lines of their own: people see the page instead."""


def install(format: str) -> None:
    """Write records to stderr in this format: warnings of everybody, and what we say ourselves."""
    formatter, requests = FORMATS[format]
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gpt4video").setLevel(logging.INFO)
    logging.getLogger("gpt4video.access").setLevel(requests)
