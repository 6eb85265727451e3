"""`/health`: is it alive?  `/ready`: can it answer?  `/version`: what is it?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

import gpt4video
from server.errors import ApiError
from server.objects import Health, Ready, Version
from server.openapi import answers
from server.service import service_of

router = APIRouter()


@router.get("/health", responses=answers(Health, 503))
async def health(request: Request) -> dict[str, Any]:
    """200 as long as this server can become or stay ready; otherwise a 503 that says what is broken."""
    if faults := await service_of(request).faults():
        raise ApiError(503, " ".join(faults), type="server_error", code="engine_unavailable")
    return {"status": "ok"}


@router.get("/ready", responses=answers(Ready, 503))
async def ready(request: Request) -> dict[str, Any]:
    """503 until the model is loaded."""
    service = service_of(request)
    service.demand_ready()
    return {"status": "ready", "model": service.settings.model_id}


@router.get("/version", responses=answers(Version))
async def version(request: Request) -> dict[str, Any]:
    """The version of this server, and the name of its model."""
    return {"version": gpt4video.__version__, "model": service_of(request).settings.model_id}
