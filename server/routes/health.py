"""`/health`: is it alive?  `/ready`: can it answer?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from server.errors import ApiError
from server.service import service_of

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """200 as long as this server can become or stay ready; otherwise a 503 that says what is broken."""
    if faults := await service_of(request).faults():
        raise ApiError(503, " ".join(faults), type="server_error", code="engine_unavailable")
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> dict[str, Any]:
    """503 until the model is loaded."""
    service = service_of(request)
    service.demand_ready()
    return {"status": "ready", "model": service.settings.model_id}
