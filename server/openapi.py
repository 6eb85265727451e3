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

from server import examples, schemas
from server.objects import ErrorObject

JSON, FORM, SSE = "application/json", "multipart/form-data", "text/event-stream"
REF = "#/components/schemas/{model}"
PLACE = {"$ref": "#/components/schemas/ErrorObject"}


def header(what: str, schema: str = "string", example: Any = None, required: bool = False) -> dict[str, Any]:
    """A header of an answer."""
    return {
        "description": what,
        "required": required,
        "schema": {"type": schema},
        **({} if example is None else {"example": example}),
    }


EVERYWHERE = {
    "X-Request-Id": header("The client's own, or a new one; log and traces have it.", required=True),
    "openai-processing-ms": header("Milliseconds until the answer began.", "integer", 12),
}
"""Headers of every answer."""
WHAT_IS_LEFT = {
    f"x-ratelimit-{what}-{of}": header(f"{words} Only where the key has such a limit.", example=example)
    for of in ("requests", "tokens", "video-seconds")
    for what, words, example in (
        ("limit", f"How many {of} there are.", "60"),
        ("remaining", f"How many {of} are left.", "59"),
        ("reset", f"How long until all {of} are there again.", "1s"),
    )
}
"""Headers of every answer under /v1 to a key with limits."""
COME_BACK = {"Retry-After": header("Seconds after which to ask again.", "integer", 2)}
"""Header of answers that a later request would not get."""
POLL = {"openai-poll-after-ms": header("When to look again, while it is unfinished.", "integer", 500)}
"""Header of an unfinished video."""

LATER = ("429", "503", "504")
"""Statuses with `COME_BACK`."""

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

IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "For 24 hours the same key and body give the first answer again; not for streams.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "order-4711",
}
"""The header with which a creation may be sent twice and is done once."""

Responses = dict[int | str, dict[str, Any]]


def answers(
    model: type[BaseModel] | None,
    *errors: int,
    more: dict[str, Any] | None = None,
    headers: dict[str, Any] | None = None,
    example: dict[str, Any] | None = None,
) -> Responses:
    """The `responses` of a route: its object (or other content, `more`), and the errors of its own.

    `example` is for a route whose object is another one than the example of its kind.
    """
    content = dict(more or {})
    done: dict[str, Any] = {"description": "Done.", "headers": headers or {}}
    if model is not None:
        done["model"] = model
        done["description"] = (model.__doc__ or "Done.").strip().split("\n")[0]
        if example is not None:
            content[JSON] = {"example": example}
    told: Responses = {200: {**done, **({"content": content} if content else {})}}
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
    properties = {
        name: value if name in required else {"anyOf": [value, LEFT_OUT]}
        for name, value in ((name, _without_null(value)) for name, value in properties.items())
    }
    if upload:
        properties[upload] = {"type": "string", "format": "binary"}
        required.append(upload)
    body = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    example = examples.BODIES[schema.__name__]
    upon = {upload: examples.UPLOAD} if upload else {}
    content: dict[str, Any] = {FORM: {"schema": body, "example": {**example, **upon}}}
    if json:
        place = {"$ref": REF.format(model=schema.__name__)}
        content = {JSON: {"schema": place, "example": example}, **content}
    return {"requestBody": {"required": True, "content": content}}


def _objects(value: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The described objects that a field may hold: one, or none."""
    kinds = value.get("anyOf", [value])
    names = [kind["$ref"].rpartition("/")[2] for kind in kinds if "$ref" in kind]
    return [definitions[name] for name in names if "properties" in definitions[name]]


LEFT_OUT = {"type": "string", "maxLength": 0}
"""An empty field of a form is as none."""


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


def _exemplify(content: dict[str, Any], known: dict[str, dict[str, Any]]) -> None:
    """Give what has none the example of its schema. FastAPI would drop every null of it."""
    for kind in content.values():
        name = kind["schema"].get("$ref", "").rpartition("/")[2]
        if name in known:
            kind.setdefault("example", known[name])


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
    for name, example in examples.BODIES.items():
        if name in components:
            components[name]["example"] = example
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    for path, operations in told["paths"].items():
        for operation in operations.values():
            responses = operation["responses"]
            responses.pop("422", None)  # misfits are 400 here
            public = path.startswith("/v1/")
            for status in ALWAYS if public else ELSEWHERE:
                responses.setdefault(str(status), error(status))
            if "409" in responses:
                operation["parameters"] = [*operation.get("parameters", []), IDEMPOTENCY]
            for name, response in responses.items():
                more = {**(WHAT_IS_LEFT if public else {}), **(COME_BACK if name in LATER else {})}
                response["headers"] = {**EVERYWHERE, **more, **response.get("headers", {})}
            _exemplify(operation.get("requestBody", {}).get("content", {}), examples.BODIES)
            _exemplify(responses["200"].get("content", {}), examples.ANSWERS)
    return told
