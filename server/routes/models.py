"""`/v1/models`: the one model behind this server, what goes in and out of it, and what it can draw."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from gpt4video.interfaces import DrawerLimits
from server.objects import ModelList, ModelObject
from server.openapi import answers
from server.service import Service, service_of
from server.state.records import now

router = APIRouter()

CREATED = now()


@router.get("/v1/models", responses=answers(ModelList))
async def list_models(request: Request) -> dict[str, Any]:
    """All models: one."""
    return {"object": "list", "data": [_model(service_of(request))]}


@router.get("/v1/models/{id:path}", responses=answers(ModelObject, 404))
async def retrieve(request: Request, id: str) -> dict[str, Any]:
    """One model by its name."""
    service = service_of(request)
    service.demand_model(id)
    return _model(service)


def _model(service: Service) -> dict[str, Any]:
    assistant = service.assistant
    return {
        "id": service.settings.model_id,
        "object": "model",
        "created": CREATED,
        "owned_by": "gpt4video",
        "root": service.settings.model_id,
        "max_model_len": assistant.language_model.context_length,
        "capabilities": {
            "input": ["text", "image", "video"],
            "output": ["text", "video"] if assistant.drawer else ["text"],
        },
        "video": _limits(assistant.drawer.limits) if assistant.drawer else None,
        "limits": {
            "max_messages": service.settings.max_messages,
            "max_videos": service.settings.max_videos,
            "max_body_bytes": service.settings.max_body_bytes,
            "frames": assistant.encoder.sampling.num_frames,
        },
    }


def _limits(limits: DrawerLimits) -> dict[str, Any]:
    """What can be drawn; the first of each list is the native one."""
    sizes = [limits.size, *(size for size in limits.sizes if size != limits.size)]
    lengths = [limits.seconds, *(length for length in limits.lengths if length != limits.seconds)]
    return {
        "sizes": [f"{width}x{height}" for width, height in sizes],
        "seconds": [f"{length:g}" for length in lengths],
        "fps": limits.fps,
        "steps": limits.steps,
        "max_steps": limits.max_steps,
    }
