"""`POST /v1/chat/completions`: the conversation in, words and videos out."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gpt4video.messages import DrawOptions
from server.guards import unless_gone
from server.schemas import ChatRequest
from server.service import Service, owner_of, service_of
from server.stream import Envelope, EventStream, whole

router = APIRouter()


@router.post("/v1/chat/completions")
async def create(request: Request, body: ChatRequest) -> Response:
    """One answer, streamed or whole. Nothing is decoded before everything is checked."""
    service = service_of(request)
    service.demand_ready()
    service.demand_model(body.model)
    body.refuse_the_unsupported()
    draw = body.video.options() if body.video and body.allow_video else DrawOptions()
    service.check_drawing(draw)
    return await unless_gone(request.receive, _answer(service, body, draw, owner_of(request)))


async def _answer(service: Service, body: ChatRequest, draw: DrawOptions, owner: str) -> Response:
    conversation = await service.reader.conversation(body.messages, service.assistant, owner)
    told = service.answer(conversation, body.params(), draw, body.allow_video, owner)
    envelope = Envelope(service.settings.model_id)
    if not body.stream:
        return JSONResponse(envelope.completion(await whole(told)))
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    return await EventStream.begin(told, envelope, service.settings.keep_alive_seconds, include_usage)
