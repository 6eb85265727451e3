"""`/openapi.json`: what every route takes and answers, with examples, so that it can be tested by machine.

    answers(VideoObject, 404)         what a route answers: its object, and its errors
    takes(VideoCreate, json=…, form=…)   what it takes, where the route reads the body itself

Errors that any route can give (a key is missing, the body is too large, too much at once, our own mistakes)
are added for all of them in one place, `ALWAYS`.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server import schemas
from server.objects import ErrorObject

JSON, FORM, SSE = "application/json", "multipart/form-data", "text/event-stream"
REF = "#/components/schemas/{model}"
PLACE = {"$ref": "#/components/schemas/ErrorObject"}

REASONS: dict[int, tuple[str, str]] = {
    400: ("The request does not fit, or safety refuses it.", "invalid_value"),
    401: ("The API key is missing or wrong.", "invalid_api_key"),
    403: ("This is not allowed: a host, an origin or a signature.", "forbidden"),
    404: ("There is no such thing here, or it is not ready.", "video_not_found"),
    405: ("This address does not take that method.", "method_not_allowed"),
    408: ("The body did not come in time.", "request_timeout"),
    409: ("The same idempotency key came with another body.", "idempotency_conflict"),
    410: ("It has expired.", "video_expired"),
    413: ("The body is too large.", "request_too_large"),
    416: ("The range is outside of the file.", "range_not_satisfiable"),
    429: ("Too many requests of this key.", "rate_limit_exceeded"),
    500: ("Something broke on our side.", "internal_error"),
    503: (
        "No room now, or the model is loading; `Retry-After` says when to come back.",
        "queue_full",
    ),
    504: ("It took too long.", "timeout"),
    507: ("The disk is full.", "storage_full"),
}
"""Every status that is an error: when it comes, and the code of an example."""

ALWAYS = (401, 403, 405, 408, 413, 429, 500, 503, 504, 507)
"""What every route under /v1 can answer."""
ELSEWHERE = (403, 405, 500, 503)
"""What every other route can answer."""

MESSAGES = [{"role": "user", "content": "Draw a red circle moving to the left."}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "ChatRequest": {
        "model": "gpt4video",
        "messages": MESSAGES,
        "temperature": 0.0,
        "max_tokens": 64,
        "video": {"seed": 1},
    },
    "VideoCreate": {"prompt": "a red circle moving to the left", "seed": 1},
    "VideoRemix": {"prompt": "a blue circle moving to the left"},
    "ModerationRequest": {"input": ["a red circle", {"type": "text", "text": "a blue square"}][0]},
    "FileCreate": {"purpose": "user_data"},
    "AskRequest": {"question": "What color is the circle?"},
}
"""One body that fits, by the name of its schema."""

Responses = dict[int | str, dict[str, Any]]


def answers(
    model: type[BaseModel] | None, *errors: int, more: dict[str, Any] | None = None, status: int = 200
) -> Responses:
    """The `responses` of a route: its object (or other content, `more`), and the errors of its own."""
    content = dict(more or {})
    told: Responses = {status: {"description": "Done.", **({"content": content} if content else {})}}
    if model is not None:
        told[status]["model"] = model
        told[status]["description"] = (model.__doc__ or "Done.").strip().split("\n")[0]
    return told | {code: error(code) for code in errors}


def error(status: int) -> dict[str, Any]:
    """One error answer."""
    reason, code = REASONS[status]
    kind = "invalid_request_error" if status < 500 else "server_error"
    example = {"error": {"message": reason, "type": kind, "param": None, "code": code}}
    return {"description": reason, "content": {JSON: {"schema": PLACE, "example": example}}}


def stream(what: str, example: str) -> dict[str, Any]:
    """The content of a route that answers with Server-Sent Events; the schema is that of one event."""
    event = {
        "type": "object",
        "description": what,
        "required": ["data"],
        "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    }
    return {SSE: {"schema": event, "example": example}}


def file(*kinds: str) -> dict[str, Any]:
    """The content of a route that answers with bytes."""
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}


def partly(content: dict[str, Any]) -> Responses:
    """What a route that answers with bytes says of them beside all of them: a part, and nothing new."""
    return {206: {"description": "A part of it.", "content": content}, 304: {"description": "You have it."}}


def takes(
    schema: type[BaseModel], *, json: bool = False, upload: str | None = None, brackets: bool = False
) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its form itself; with `json`, JSON as well.

    `upload` names the form's file. With `brackets` objects come as the SDK writes them: `a[b]`.
    """
    form = schema.model_json_schema(ref_template=REF)
    definitions = form.pop("$defs", {})
    properties = dict(form.get("properties", {}))
    required = list(form.get("required", []))
    for name in list(properties) if brackets else []:
        for inner in _objects(properties[name], definitions):
            del properties[name]
            properties |= {f"{name}[{key}]": value for key, value in inner["properties"].items()}
    properties = {name: _without_null(value) for name, value in properties.items()}
    if upload:
        properties[upload] = {"type": "string", "format": "binary"}
        required.append(upload)
    body = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    example = EXAMPLES[schema.__name__]
    content: dict[str, Any] = {FORM: {"schema": body}}
    if json:
        place = {"$ref": REF.format(model=schema.__name__)}
        content = {JSON: {"schema": place, "example": example}, **content}
    return {"requestBody": {"required": True, "content": content}}


def _objects(value: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The described objects that a field may hold: one, or none."""
    kinds = value.get("anyOf", [value])
    names = [kind["$ref"].rpartition("/")[2] for kind in kinds if "$ref" in kind]
    return [definitions[name] for name in names if "properties" in definitions[name]]


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """A form has no null: what is not wanted is left out."""
    kinds = [kind for kind in value.get("anyOf", []) if kind.get("type") != "null"]
    rest = {name: fact for name, fact in value.items() if name not in ("anyOf", "default")}
    if not kinds:
        return {name: fact for name, fact in value.items() if name != "default"}
    return {**rest, **kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": kinds}


BODIES: tuple[type[BaseModel], ...] = (
    schemas.ChatRequest,
    schemas.VideoCreate,
    schemas.VideoRemix,
    schemas.ModerationRequest,
)
"""Request bodies in JSON."""


def install(app: FastAPI) -> None:
    """Give `app` the document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    told = get_openapi(
        title=app.title,
        version=app.version,
        description="Talk about videos and have videos drawn. The official `openai` SDK is the client.",
        routes=app.routes,
    )
    models: list[Any] = [(model, "validation") for model in (*BODIES, ErrorObject)]
    _, extra = models_json_schema(models, ref_template=REF)
    components = told.setdefault("components", {}).setdefault("schemas", {})
    components |= extra["$defs"]
    for name, example in EXAMPLES.items():
        if name in components:
            components[name]["example"] = example
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    for path, operations in told["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            responses.pop("422", None)  # misfits are 400 here
            for status in ALWAYS if path.startswith("/v1/") else ELSEWHERE:
                responses.setdefault(str(status), error(status))
    return told
