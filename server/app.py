"""The application: guards in front, errors in one shape, a service behind, routes and the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

import gpt4video
from server import errors, openapi
from server.door import Door
from server.guards import BodyLimit, Deadline, Draining, RequestId
from server.meter import Meter
from server.observe import Observe
from server.origin import SafeHeaders
from server.routes import ask, chat, files, health, metrics, models, moderations, page, videos
from server.service import Service
from server.settings import Settings

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant

TOLD_ACROSS_ORIGINS = (
    "X-Request-Id",
    "Retry-After",
    "openai-processing-ms",
    "openai-poll-after-ms",
    *(
        f"x-ratelimit-{what}-{of}"
        for of in ("requests", "tokens", "video-seconds")
        for what in ("limit", "remaining", "reset")
    ),
)
"""Headers that pages of allowed sites may read."""


def create_app(load: Callable[[], Assistant] | Assistant, settings: Settings | None = None) -> FastAPI:
    """The whole server around an assistant, or around a way to load one while it already answers."""
    settings = settings or Settings()
    service = Service(load, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await service.open()
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="gpt4video",
        version=gpt4video.__version__,
        lifespan=lifespan,
        # No /docs: those pages fetch scripts from elsewhere. /openapi.json is there.
        docs_url=None,
        redoc_url=None,
        # FastAPI's own would tell of bodies, which hold prompts; `tracing.py` and `metrics.py` do not.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    errors.install(app)
    # The last one added stands outermost.
    app.add_middleware(
        BodyLimit,
        most=settings.max_body_bytes,
        idle=settings.body_idle_seconds,
        uploads=settings.max_uploads,
    )
    app.add_middleware(Deadline, seconds=settings.request_seconds)
    app.add_middleware(Meter, ledger=service.ledger)
    app.add_middleware(Door, keys=service.keys, signer=service.signer, settings=settings)
    app.add_middleware(Draining, state=service.drain)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=TOLD_ACROSS_ORIGINS,
        )
    app.add_middleware(SafeHeaders, shared=bool(settings.cors_origins))
    app.add_middleware(Observe, metrics=service.metrics, traces=service.traces)
    app.add_middleware(RequestId)
    rooms = (chat, ask, videos, files, models, moderations, health, metrics, page)
    for room in rooms:
        app.include_router(room.router)
    app.state.routes = [route for room in rooms for route in room.router.routes]
    openapi.install(app)
    app.mount("/web", page.static)
    return app
