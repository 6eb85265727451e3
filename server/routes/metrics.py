"""`/metrics`: for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from server.metrics import CONTENT_TYPE
from server.service import service_of

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """All series as text."""
    return Response(await service_of(request).measures(), headers={"Content-Type": CONTENT_TYPE})
