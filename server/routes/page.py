"""`/` and `/web/…`: the page, which talks to the API beside it and to nothing else."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from server.service import service_of

router = APIRouter()

FOLDER = Path(__file__).parent.parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No script, style or address but our own; posted videos are shown from memory (blob:)."""

static = StaticFiles(directory=FOLDER)


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def page(request: Request) -> Response:
    """The web client, told how large a video may be."""
    most = service_of(request).settings.max_body_bytes
    html = (FOLDER / "index.html").read_text(encoding="utf-8").replace("{max_body_bytes}", str(most))
    headers = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return HTMLResponse(html, headers=headers)
