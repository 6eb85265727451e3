"""Who looks at requests as they pass: metrics, the log, traces.

    arrives --------------------------------- ends, or its client leaves
       | listener of gpt4video.stages, request id of log lines, a span
       +--> metrics.request, one line of log, span.end

Pure ASGI and outside everything else, so that it sees what the guards refuse, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from typing import cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpt4video.messages import Event, Finished, TextDelta
from gpt4video.stages import Stage, listener, tell
from server.logs import request_id
from server.metrics import Metrics
from server.state.records import VideoRecord
from server.tracing import Traces

log = logging.getLogger("gpt4video.access")

arrived: ContextVar[float] = ContextVar("arrived")
"""When the request of this context came, by `time.monotonic()`."""

METHODS = {"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"}
PROBES = {"/health", "/ready", "/metrics"}
"""Asked every few seconds by machines: their lines are for debugging."""


class Observe:
    """Tells metrics, log and traces of every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: Traces | None = None) -> None:
        self.app = app
        self._metrics = metrics
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began = time.monotonic()
        seen = _Seen()
        span = self._traces.begin(Headers(scope=scope)) if self._traces else None
        arrived.set(began)
        request_id.set(scope["request_id"])

        def heard(stage: Stage) -> None:
            self._metrics.take(stage)
            if span is not None:
                span.take(stage)

        listener.set(heard)

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect" and not seen.whole:
                seen.left = True
            return message

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                if Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream"):
                    seen.streams = True
                    self._metrics.sse_clients.inc()
            elif not message.get("more_body"):
                seen.whole = True
            await send(message)

        try:
            await self.app(scope, watched_receive, watched_send)
        finally:
            # Without an answer: it broke (a 500 is answered outside of this), or nobody waits for one.
            status = seen.status or (499 if seen.left else 500)
            method, route = _method(scope), route_of(scope)
            seconds, code = time.monotonic() - began, scope.get("error_code")
            if seen.streams:
                self._metrics.sse_clients.dec()
            if seen.left:
                self._metrics.client_left()
            self._metrics.request(method, route, status, seconds, code)
            if span is not None:
                span.end(method, route, status, scope["request_id"])
            facts = {
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 1),
                "key": scope.get("owner"),
                "code": code,
            }
            level = logging.DEBUG if route in PROBES else logging.INFO
            log.log(level, "%s %s %d", method, route, status, extra={"facts": facts})


class _Seen:
    """How far one request is."""

    status = 0
    streams = False
    whole = False
    left = False


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"


def route_of(scope: Scope) -> str:
    """The template of the route that took a request: what is asked for inside it is nobody's label."""
    route = scope.get("route")
    if (path := getattr(route, "path", None)) is not None:
        return str(path)
    return "/web" if scope["path"].startswith("/web/") else "none"


@contextmanager
def drawing(metrics: Metrics, traces: Traces | None, record: VideoRecord) -> Iterator[Outcome]:
    """A drawing from the queue is a span of its own, with its stages inside; who draws tells the outcome."""
    outcome = Outcome()
    if traces is None:
        yield outcome
        return
    span = traces.begin_drawing(record.traceparent)

    def heard(stage: Stage) -> None:
        metrics.take(stage)
        span.take(stage)

    before = listener.set(heard)
    try:
        yield outcome
    finally:
        listener.reset(before)
        span.end_drawing(outcome.status, outcome.error)


@dataclass
class Outcome:
    """How a drawing ended; as long as nobody says more, it was stopped or left to another server."""

    status: str = "stopped"
    error: str | None = None


async def watched(events: AsyncIterator[Event]) -> AsyncGenerator[Event, None]:
    """The events of an answer, as they are; on the way their times are told as stages.

    first_token    from the request's arrival          token    since the piece of text before
    answer         all of it, with tokens, the reason and how long it was written
    """
    began = arrived.get(time.monotonic())
    moments: list[float] = []
    async with aclosing(cast("AsyncGenerator[Event, None]", events)):
        try:
            async for event in events:
                match event:
                    case TextDelta():
                        moments.append(time.monotonic())
                    case Finished():
                        tell(
                            "answer",
                            began,
                            time.monotonic(),
                            finish_reason=event.reason,
                            prompt_tokens=event.usage.prompt_tokens,
                            completion_tokens=event.usage.completion_tokens,
                            writing_seconds=moments[-1] - moments[0] if moments else 0.0,
                        )
                yield event
        finally:
            # Together and afterwards: between two words it would be one more thing to wait for.
            names = chain(["first_token"], repeat("token"))
            for name, (before, now) in zip(names, pairwise([began, *moments]), strict=False):
                tell(name, before, now)
