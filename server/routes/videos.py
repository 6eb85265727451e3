"""`/v1/videos`: jobs that draw, and the files they leave."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from gpt4video.errors import Refused
from gpt4video.interfaces import Door
from gpt4video.messages import DrawOptions, GenerationRequest
from server.content import sent
from server.errors import ApiError, bad_request
from server.objects import Deleted, VideoList, VideoObject
from server.once import once
from server.openapi import POLL, answers, file, partly, stream, takes
from server.schemas import M, VideoCreate, VideoRemix, nested, parse
from server.service import Service, owner_of, service_of
from server.state.records import VideoRecord, new_video_id
from server.stream import Sse
from server.watch import watched

router = APIRouter()

POLL_MS = (250, 5000)
"""Between what bounds the SDK is told to wait between two looks at an unfinished job."""
LOOKS = 5
"""How many looks a drawing that goes on as it went so far shall cost."""
SUFFIX = {"video/mp4": "mp4", "image/webp": "webp"}

Order = Literal["asc", "desc"]
Variant = Literal["video", "thumbnail", "spritesheet"]


@router.post(
    "/v1/videos",
    response_model=None,
    responses=answers(VideoObject, 400, 404, 409),
    openapi_extra=takes(VideoCreate, json=True),
)
async def create(request: Request) -> Response:
    """Queue a drawing. Form (what the SDK sends) or JSON (what people with curl send)."""
    service = service_of(request)
    service.demand_ready()
    body = await _body(request, VideoCreate)
    body.refuse_what_is_not_drawn()
    service.demand_model(body.model)
    service.demand_drawer()
    options = service.drawing(body)
    return await _once(request, body, options)


@router.post(
    "/v1/videos/{id}/remix",
    response_model=None,
    responses=answers(VideoObject, 400, 404, 409),
    openapi_extra=takes(VideoRemix, json=True),
)
async def remix(request: Request, id: str) -> Response:
    """Draw a changed prompt with the size, length and noise of an earlier video."""
    service = service_of(request)
    service.demand_ready()
    source = await service.videos.get(id, owner_of(request))
    if source.status != "completed":
        raise ApiError(404, "This video is not ready.", code="video_not_ready", param="id")
    body = await _body(request, VideoRemix)
    options = DrawOptions(
        seconds=source.seconds,
        size=source.size,
        steps=source.steps,
        guidance=source.guidance,
        seed=source.seed,
    )
    service.demand_drawer().check(options)
    return await _once(request, body, options, source.id)


async def _once(
    request: Request, body: VideoCreate | VideoRemix, options: DrawOptions, remixed_from: str | None = None
) -> Response:
    """A job for this request, or the one that an equal request was given before."""
    service, owner = service_of(request), owner_of(request)

    async def make(id: str) -> dict[str, Any]:
        return service.shown(await _submit(service, owner, body.prompt, options, remixed_from, id))

    async def found(id: str) -> dict[str, Any] | None:
        record = await service.videos.find(id, owner)
        return None if record is None else service.shown(record)

    return await once(request, body.model_dump(), make, new_video_id, found)


@router.post("/v1/videos/edits", include_in_schema=False)
@router.post("/v1/videos/extensions", include_in_schema=False)
@router.post("/v1/videos/characters", include_in_schema=False)
async def unsupported() -> None:
    """Videos are drawn from words; none is edited, made longer or taken as a character."""
    message = "This is not supported: videos are drawn from words. Try /v1/videos/ID/remix."
    raise ApiError(404, message, code="unsupported_endpoint")


async def _body(request: Request, schema: type[M]) -> M:
    """The body as `schema`, whichever way it came."""
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            data = await request.json()
        except (ValueError, RecursionError):  # no JSON, or JSON in a thousand brackets
            raise bad_request("The body is not JSON.", code="invalid_json") from None
        if not isinstance(data, dict):
            raise bad_request("The body must be a JSON object.")
        return parse(schema, data)
    async with request.form(max_files=1, max_fields=100) as form:
        return parse(schema, nested(dict(form)), strict=False)


async def _submit(
    service: Service, owner: str, prompt: str, options: DrawOptions, remixed_from: str | None, id: str
) -> VideoRecord:
    """Options were judged; words are, before anything is queued."""
    assistant = service.assistant
    doors: tuple[Door, ...] = ("question", "instruction")
    for door in doors:  # a bare prompt is both: what a person asked, and what the drawer hears
        verdict = await asyncio.to_thread(assistant.safety.text, prompt, door)
        if not verdict.allowed:
            raise Refused(verdict.message, code="moderation_blocked", param="prompt")
    request, quota = GenerationRequest(prompt, options), service.ledger.quota(owner)
    return await service.jobs.submit(assistant, request, owner, remixed_from, id, quota)


@router.get("/v1/videos", responses=answers(VideoList, 400))
async def list_videos(
    request: Request,
    after: str | None = None,
    limit: Annotated[int, Query(ge=0, le=100)] = 20,
    order: Order = "desc",
) -> dict[str, Any]:
    """A page of videos, newest first."""
    service = service_of(request)
    page = await service.videos.page(owner_of(request), after, limit, order)
    return page.as_json([service.shown(record) for record in await service.queue.placed(page.records)])


@router.get("/v1/videos/{id}", response_model=None, responses=answers(VideoObject, 404, headers=POLL))
async def retrieve(request: Request, id: str) -> Response:
    """One video; a failed one is a 200, too. `openai-poll-after-ms` says when to look again."""
    service = service_of(request)
    [record] = await service.queue.placed([await service.videos.get(id, owner_of(request))])
    shown = service.shown(record)
    headers = {} if record.finished else {"openai-poll-after-ms": str(_poll_after(shown))}
    return JSONResponse(shown, headers=headers)


def _poll_after(shown: dict[str, Any]) -> int:
    """Milliseconds: a part of what is left, as far as that can be told."""
    least, most = POLL_MS
    left = 1000 * (shown["eta_seconds"] or 1 + (shown["queue_position"] or 0))
    return min(most, max(least, round(left / LOOKS)))


@router.delete("/v1/videos/{id}", responses=answers(Deleted, 404))
async def delete(request: Request, id: str) -> dict[str, Any]:
    """Forget a video; one that is being drawn stops between two steps."""
    service = service_of(request)
    await service.jobs.delete(id, owner_of(request))
    return {"id": id, "object": "video.deleted", "deleted": True}


@router.post("/v1/videos/{id}/cancel", responses=answers(VideoObject, 404))
async def cancel(request: Request, id: str) -> dict[str, Any]:
    """Stop a drawing between two steps: it is `failed` then, with the code `cancelled`.

    One that is finished stays as it is.
    """
    service = service_of(request)
    return service.shown(await service.jobs.cancel(id, owner_of(request)))


EVENTS = stream(
    "Named events `snapshot`, `status`, `progress`, `preview`, `end`; each holds the whole video object, "
    "`preview` its id and `preview_url`.",
    'event: snapshot\ndata: {"id":"video_1","object":"video","status":"in_progress","progress":25}\n\n',
)


@router.get(
    "/v1/videos/{id}/events",
    response_class=Response,
    responses=answers(None, 404, more=EVENTS),
)
async def events(request: Request, id: str) -> Response:
    """The life of a video as Server-Sent Events: snapshot, status, progress, preview, end."""
    service, owner = service_of(request), owner_of(request)
    await service.videos.get(id, owner)

    async def look() -> dict[str, Any] | None:
        if (record := await service.videos.find(id, owner)) is None:
            return None
        [record] = await service.queue.placed([record])
        return service.shown(record)

    return Sse(watched(look, id, service.settings.keep_alive_seconds))


KINDS = file("video/mp4", "image/webp")
CONTENT = answers(None, 400, 404, 410, 416, more=KINDS)
CONTENT |= partly(KINDS)


@router.head("/v1/videos/{id}/content", include_in_schema=False)
@router.get("/v1/videos/{id}/content", response_class=Response, responses=CONTENT)
async def content(request: Request, id: str, variant: Variant = "video") -> Response:
    """The mp4, or a picture of it (WebP), whole or by `Range`."""
    service, owner = service_of(request), owner_of(request)
    record = await service.videos.get(id, owner)
    if record.status == "failed":
        assert record.error is not None, "a failed record says why"
        raise ApiError(404, "This video failed: " + record.error["message"], code="video_not_ready")
    asset = await service.videos.asset(id, owner, variant)
    return sent(
        request,
        service.blobs,
        asset,
        f"{id}.{SUFFIX.get(asset.media_type, 'bin')}",
        media_type=asset.media_type,
        content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )
