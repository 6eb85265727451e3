"""`POST /v1/moderations`: what safety says of words, pictures and videos, in OpenAI's categories."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request

from server.errors import bad_request
from server.moderation import Judged, judged, result
from server.objects import ModerationObject
from server.openapi import answers
from server.schemas import ModerationRequest
from server.service import owner_of, service_of

router = APIRouter()

MOST_INPUTS = 32
"""Most texts, or parts, in one request."""


@router.post("/v1/moderations", responses=answers(ModerationObject, 400, 404, 410))
async def create(request: Request, body: ModerationRequest) -> dict[str, Any]:
    """One result for each text; parts (text, image_url, video_url) are judged together."""
    service = service_of(request)
    assistant = service.assistant
    service.demand_model(body.model)
    given = [body.input] if isinstance(body.input, str) else body.input
    if len(given) > MOST_INPUTS:
        raise bad_request(f"input: {len(given)} came, at most {MOST_INPUTS} fit.", param="input")
    results = []
    texts = [text for text in given if isinstance(text, str)]
    parts = [part for part in given if not isinstance(part, str)]
    for text in texts:
        results.append([await judged(assistant.safety, text)])
    if parts:
        together: list[Judged] = []
        for thing in await service.reader.parts(parts, "input", assistant, owner_of(request)):
            together.append(await judged(assistant.safety, thing if isinstance(thing, str) else thing.clip))
        results.append(together)
    return {
        "id": f"modr-{secrets.token_hex(12)}",
        "model": service.settings.model_id,
        "results": [result(verdicts) for verdicts in results],
    }
