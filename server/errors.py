"""Every way a request can fail, as the error object of OpenAI's API.

{"error": {"message": str, "type": str, "param": str | null, "code": str | null}}

400  InputError, VideoError, ContextTooLong, Refused      404  not found      405  method      413  body
429 | 503  Busy, model_loading  (with Retry-After)        500  GenerationFailed and our own mistakes
503  database_busy, database_unavailable (with Retry-After)        507  storage_full: a full disk
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from gpt4video.errors import Busy, Gpt4VideoError, InputError, Refused

log = logging.getLogger("gpt4video.server")

MOST_FAULTS = 10
"""Faults named in one message: a bad body must not buy a long answer."""
LONGEST_FAULT = 200
"""Characters of each."""


class ApiError(HTTPException):
    """An answer that is an error. An `HTTPException`, so that FastAPI lets it out of body parsing."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.body = {"error": {"message": message, "type": type, "param": param, "code": code}}


def code_of(error: BaseException) -> str | None:
    """Its slug, where it is an answer of ours."""
    return error.body["error"]["code"] if isinstance(error, ApiError) else None


class ClientGone(Exception):
    """The client left before its answer; nobody is there to read one."""


def bad_request(message: str, *, code: str = "invalid_value", param: str | None = None) -> ApiError:
    """A 400."""
    return ApiError(400, message, code=code, param=param)


def not_found(kind: str, id: str) -> ApiError:
    """A 404 for an object of ours: `not_found("video", "video_1")`."""
    shown = id[:80]
    return ApiError(404, f"There is no {kind} {shown!r} here.", code=f"{kind}_not_found", param="id")


def loading() -> ApiError:
    """A 503 while the model is on its way."""
    return ApiError(
        503,
        "The model is still loading; try again in a moment.",
        type="server_error",
        code="model_loading",
        headers={"Retry-After": "2"},
    )


def storage_full() -> ApiError:
    """A 507: the disk is full. Asking again at once would not help."""
    message = "There is no room on this server's disk; nothing was kept."
    headers = {"x-should-retry": "false"}
    return ApiError(507, message, type="server_error", code="storage_full", headers=headers)


def database_busy() -> ApiError:
    """A 503: another process holds the database."""
    message = "The database is busy; try again in a moment."
    return ApiError(503, message, type="server_error", code="database_busy", headers={"Retry-After": "1"})


def database_away() -> ApiError:
    """A 503: the database does not answer."""
    message = "The database does not answer; the server's log says why."
    return ApiError(
        503, message, type="server_error", code="database_unavailable", headers={"Retry-After": "5"}
    )


DATABASE = ("database_busy", "database_unavailable")
"""Slugs of errors that may be over in a moment, though nothing was done to mend them."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A full disk, a used-up quota, a file over the process's limit."""


def as_api_error(error: BaseException) -> ApiError:
    """Any exception as what the client is told. Our own mistakes keep their details to the log."""
    match error:
        case ApiError():
            return error
        case Refused() | InputError():
            return bad_request(error.message, code=error.code, param=error.param)
        case Busy():
            status, type = (
                (429, "rate_limit_error") if error.code.startswith("rate_limit") else (503, "server_error")
            )
            wait = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
            return ApiError(status, error.message, type=type, code=error.code, headers=wait)
        case Gpt4VideoError():
            return ApiError(500, error.message, type="server_error", code=error.code, param=error.param)
        case StarletteHTTPException():
            return _of_http(error)
        case OSError() if error.errno in NO_ROOM:
            return storage_full()
        case _:
            return ApiError(500, "Something broke on our side.", type="server_error", code="internal_error")


_HTTP_CODES = {400: "invalid_body", 404: "unknown_url", 405: "method_not_allowed", 413: "request_too_large"}


def _of_http(error: StarletteHTTPException) -> ApiError:
    """An error of the framework: unknown path, wrong method, unreadable form."""
    message = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    return ApiError(
        error.status_code,
        message.get(error.status_code, str(error.detail)[:LONGEST_FAULT]),
        type="invalid_request_error" if error.status_code < 500 else "server_error",
        code=_HTTP_CODES.get(error.status_code),
        headers=dict(error.headers or {}),
    )


def of_validation(faults: Sequence[Any]) -> ApiError:
    """Pydantic's faults as one 400; `param` is the dotted path of the first."""
    told = [(_path(fault["loc"]), _words(fault)) for fault in faults[:MOST_FAULTS]]
    first = faults[0]
    if first["type"] == "json_invalid":
        return bad_request("The body is not JSON.", code="invalid_json")
    message = "; ".join(f"{path}: {words}" if path else words for path, words in told)
    if len(faults) > MOST_FAULTS:
        message += f"; and {len(faults) - MOST_FAULTS} more"
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return bad_request(message + ".", code=code, param=told[0][0] or None)


def _words(fault: Any) -> str:
    """What is wrong, without the value that was sent."""
    if fault["type"] == "missing":
        return "is missing"
    return str(fault["msg"]).removeprefix("Value error, ").rstrip(".")[:LONGEST_FAULT]


def _path(loc: Sequence[Any]) -> str:
    """`("body", "messages", 0, "role")` as `messages[0].role`."""
    path = ""
    for step in loc[1:] if loc and loc[0] in ("body", "query", "path", "header") else loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path[:LONGEST_FAULT]


def answer(request: Request, error: ApiError) -> Response:
    """The response of an error. It carries the request id itself: a 500 leaves outside the middleware."""
    headers = dict(error.headers or {})
    request.scope["error_code"] = error.body["error"]["code"]
    if request_id := request.scope.get("request_id"):
        headers["X-Request-Id"] = request_id
    return JSONResponse(error.body, status_code=error.status_code, headers=headers)


async def _on_error(request: Request, error: Exception) -> Response:
    told = as_api_error(error)
    if told.status_code == 405:
        told.headers = {**(told.headers or {}), "Allow": ", ".join(sorted(_methods(request)))}
    return answer(request, told)


def _methods(request: Request) -> set[str]:
    """What this address takes: its methods are spread over routes, of which the framework names one."""
    routes = [route for route in request.app.state.routes if route.matches(request.scope)[0] != Match.NONE]
    return {method for route in routes for method in route.methods or ()}


async def _on_os_error(request: Request, error: Exception) -> Response:
    """A full disk is an answer; anything else of this kind is a mistake of ours."""
    told = as_api_error(error)
    if told.status_code != 507:
        raise error
    log.error("%s %s: %s", request.method, request.scope.get("path", "")[:LONGEST_FAULT], error)
    return answer(request, told)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for this class alone"
    return answer(request, of_validation(error.errors()))


async def _on_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


def install(app: FastAPI) -> None:
    """Make every error of `app` an error object."""
    app.add_exception_handler(StarletteHTTPException, _on_error)
    app.add_exception_handler(Gpt4VideoError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(ClientGone, _on_gone)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(ClientDisconnect, _on_gone)  # in the middle of its body
    app.add_exception_handler(Exception, _on_error)
