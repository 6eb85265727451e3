"""`/health`: is it alive?  `/ready`: can it answer?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from server.service import service_of

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """200 as long as this server can become or stay ready."""
    service = service_of(request)
    if service.failed:
        service.demand_ready()
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> dict[str, Any]:
    """503 until the model is loaded."""
    service = service_of(request)
    service.demand_ready()
    return {"status": "ready", "model": service.settings.model_id}
