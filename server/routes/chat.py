"""`POST /v1/chat/completions`: the conversation in, words and videos out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from gpt4video.messages import DrawOptions
from server.conversation import NATIVE
from server.drawings import Told
from server.guards import unless_gone
from server.objects import ChatCompletion
from server.once import names_a_key, once
from server.openapi import answers, stream
from server.schemas import ChatRequest
from server.service import Service, owner_of, service_of
from server.stream import Envelope, EventStream, Moderated, whole

router = APIRouter()


CHUNKS = stream(
    "With `stream`: `data:` lines of `chat.completion.chunk` objects; drawn videos in `delta.video`.",
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[…]}\n\ndata: [DONE]\n\n',
)


@router.post(
    "/v1/chat/completions",
    response_model=None,
    responses=answers(ChatCompletion, 400, 404, 409, 410, more=CHUNKS),
)
async def create(request: Request, body: ChatRequest) -> Response:
    """One answer, streamed or whole. Nothing is decoded before everything is checked."""
    service = service_of(request)
    service.demand_ready()
    service.demand_model(body.model)
    body.refuse_the_unsupported()
    draw = service.drawing(body.video if body.allow_video else None)
    if body.demands_video:
        service.demand_drawer()
    return await unless_gone(request.receive, _answer(request, service, body, draw))


async def _answer(request: Request, service: Service, body: ChatRequest, draw: DrawOptions) -> Response:
    """A stream is another one each time; a whole answer can be asked for again by its key."""
    if body.stream:
        return await _stream(service, body, draw, owner_of(request))

    async def make(_: str) -> dict[str, Any]:
        return await _whole(service, body, draw, owner_of(request))

    if names_a_key(request):
        return await once(request, body.model_dump(), make, new_id=str)
    return Response(to_json(await make("")), media_type="application/json")


async def _whole(service: Service, body: ChatRequest, draw: DrawOptions, owner: str) -> dict[str, Any]:
    told, envelope, moderated = await _begin(service, body, draw, owner)
    answer = await whole(told)
    more = {"moderation": await moderated(answer.text)} if moderated else {}
    return envelope.completion(answer, **more)


async def _stream(service: Service, body: ChatRequest, draw: DrawOptions, owner: str) -> Response:
    told, envelope, moderated = await _begin(service, body, draw, owner)
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    pause = service.settings.keep_alive_seconds
    return await EventStream.begin(told, envelope, pause, include_usage, moderated)


async def _begin(
    service: Service, body: ChatRequest, draw: DrawOptions, owner: str
) -> tuple[AsyncIterator[Told], Envelope, Moderated | None]:
    """The answer as it will be told, what is around it, and its moderation where that was asked for."""
    sampling = (body.media_io_kwargs and body.media_io_kwargs.video) or NATIVE
    heard = await service.reader.conversation(body.messages, service.assistant, owner, sampling)
    told = service.answer(heard.conversation, body.params(), draw, body.allow_video, owner)
    envelope = service.envelope(heard.videos)
    moderated = service.moderated(heard.conversation[-1]) if body.moderation else None
    return told, envelope, moderated
