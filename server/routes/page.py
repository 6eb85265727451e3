"""`/` and `/web/…`: the page, which talks to the API beside it and to nothing else."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter()

FOLDER = Path(__file__).parent.parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No script, style or address but our own; posted videos are shown from memory (blob:)."""

static = StaticFiles(directory=FOLDER)


@router.get("/", include_in_schema=False)
async def page() -> Response:
    """The web client."""
    headers = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return FileResponse(FOLDER / "index.html", headers=headers)
