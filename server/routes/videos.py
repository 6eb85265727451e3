"""`/v1/videos`: jobs that draw, and the files they leave."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from gpt4video.errors import Refused
from gpt4video.interfaces import Door
from gpt4video.messages import DrawOptions, GenerationRequest
from server.errors import ApiError, bad_request
from server.schemas import VideoCreate, VideoRemix, parse
from server.service import Service, owner_of, service_of
from server.state.records import VideoRecord

router = APIRouter()

POLL_AFTER_MS = "500"
"""How long the SDK waits between two looks at a job that is not finished."""


@router.post("/v1/videos")
async def create(request: Request) -> dict[str, Any]:
    """Queue a drawing. Form (what the SDK sends) or JSON (what people with curl send)."""
    service = service_of(request)
    service.demand_ready()
    body = parse(VideoCreate, await _fields(request))
    service.demand_model(body.model)
    return (await _submit(service, owner_of(request), body.prompt, body.options())).as_json()


@router.post("/v1/videos/{id}/remix")
async def remix(request: Request, id: str) -> dict[str, Any]:
    """Draw a changed prompt with the size, length and noise of an earlier video."""
    service = service_of(request)
    service.demand_ready()
    source = await service.videos.get(id, owner_of(request))
    if source.status != "completed":
        raise ApiError(404, "This video is not ready.", code="video_not_ready", param="id")
    body = parse(VideoRemix, await _fields(request))
    options = DrawOptions(
        seconds=source.seconds,
        size=source.size,
        steps=source.steps,
        guidance=source.guidance,
        seed=source.seed,
    )
    return (await _submit(service, source.owner, body.prompt, options, source.id)).as_json()


async def _fields(request: Request) -> dict[str, Any]:
    """The body as plain data, whichever way it came."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            data = await request.json()
        except (ValueError, RecursionError):  # no JSON, or JSON in a thousand brackets
            raise bad_request("The body is not JSON.", code="invalid_json") from None
        if not isinstance(data, dict):
            raise bad_request("The body must be a JSON object.")
    else:
        async with request.form(max_files=1, max_fields=100) as form:
            data = dict(form)
    if any(str(name).startswith("input_reference") for name in data):
        message = "input_reference: videos are drawn from words alone here."
        raise bad_request(message, code="unsupported_parameter", param="input_reference")
    return data


async def _submit(
    service: Service, owner: str, prompt: str, options: DrawOptions, remixed_from: str | None = None
) -> VideoRecord:
    """Options and words are judged before anything is queued."""
    assistant = service.assistant
    if assistant.drawer is None:
        raise bad_request("This model does not draw videos.", code="video_not_available", param="model")
    assistant.drawer.check(options)
    doors: tuple[Door, ...] = ("question", "instruction")
    for door in doors:  # a bare prompt is both: what a person asked, and what the drawer hears
        verdict = await asyncio.to_thread(assistant.safety.text, prompt, door)
        if not verdict.allowed:
            raise Refused(verdict.message, code="moderation_blocked", param="prompt")
    return await service.jobs.submit(assistant, GenerationRequest(prompt, options), owner, remixed_from)


@router.get("/v1/videos")
async def list_videos(
    request: Request,
    after: str | None = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
    order: str = "desc",
) -> dict[str, Any]:
    """A page of videos, newest first."""
    service = service_of(request)
    page = await service.videos.page(owner_of(request), after, limit, order)
    return page.as_json([record.as_json() for record in await service.queue.placed(page.records)])


@router.get("/v1/videos/{id}")
async def retrieve(request: Request, id: str) -> Response:
    """One video; a failed one is a 200, too."""
    service = service_of(request)
    record = await service.videos.get(id, owner_of(request))
    [record] = await service.queue.placed([record])
    headers = {} if record.finished else {"openai-poll-after-ms": POLL_AFTER_MS}
    return JSONResponse(record.as_json(), headers=headers)


@router.delete("/v1/videos/{id}")
async def delete(request: Request, id: str) -> dict[str, Any]:
    """Forget a video; one that is being drawn stops between two steps."""
    service = service_of(request)
    await service.jobs.delete(id, owner_of(request))
    return {"id": id, "object": "video.deleted", "deleted": True}


@router.get("/v1/videos/{id}/content")
async def content(request: Request, id: str, variant: str = "video") -> Response:
    """The mp4, whole or by `Range`."""
    service, owner = service_of(request), owner_of(request)
    record = await service.videos.get(id, owner)
    if variant != "video":
        raise bad_request("variant: only 'video' fits here.", param="variant")
    if record.status == "failed":
        assert record.error is not None, "a failed record says why"
        raise ApiError(404, "This video failed: " + record.error["message"], code="video_not_ready")
    asset = await service.videos.asset(id, owner, variant)
    return service.blobs.response(
        asset,
        f"{id}.mp4",
        media_type=asset.media_type,
        content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )
