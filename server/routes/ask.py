"""`POST /v1/ask`: one video and one question as a form, for people with curl."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from gpt4video.messages import DrawOptions, user
from server.errors import bad_request
from server.guards import unless_gone
from server.objects import AskAnswer
from server.openapi import answers, stream, takes
from server.schemas import AskRequest, parse
from server.service import Service, owner_of, service_of
from server.stream import Answer, Envelope, EventStream, usage_json, whole

router = APIRouter()


CHUNKS = stream(
    "With `stream=true`: the chunks of `/v1/chat/completions`.",
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[…]}\n\ndata: [DONE]\n\n',
)


@router.post(
    "/v1/ask",
    response_model=None,
    responses=answers(AskAnswer, 400, more=CHUNKS),
    openapi_extra=takes(AskRequest, upload="video"),
)
async def ask(request: Request) -> Response:
    """`{answer, videos, usage, finish_reason}`, or chat chunks with `stream=true`."""
    service = service_of(request)
    service.demand_ready()
    async with request.form(max_files=1, max_fields=100) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        video = form.get("video")
        if not isinstance(video, UploadFile):
            message = "video is missing: send the file as a form field of that name."
            raise bad_request(message, code="missing_required_parameter", param="video")
        asked = parse(AskRequest, fields, strict=False)
        draw = service.drawing(asked)
        data = await video.read()
    return await unless_gone(request.receive, _answer(service, asked, draw, data, owner_of(request)))


async def _answer(
    service: Service, asked: AskRequest, draw: DrawOptions, data: bytes, owner: str
) -> Response:
    service.assistant.language_model.check((user(asked.question),))
    looked = await service.reader.clip(data, "video", service.assistant)
    told = service.answer((user(looked.clip, asked.question),), asked.params(), draw, True, owner)
    envelope = service.envelope((looked,))
    if asked.stream:
        return await EventStream.begin(
            told, envelope, service.settings.keep_alive_seconds, include_usage=True
        )
    return JSONResponse(as_json(await whole(told), envelope))


def as_json(answer: Answer, envelope: Envelope) -> dict[str, object]:
    """The object that `gpt4video ask --json` prints, too."""
    return {
        "answer": answer.text,
        "videos": [envelope.shown(record) for record in answer.videos],
        "usage": usage_json(answer.end.usage),
        "finish_reason": answer.end.reason,
    }
