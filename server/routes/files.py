"""`/v1/files`: posted videos, kept so that a conversation can name them instead of sending them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from gpt4video.errors import InputError
from gpt4video.video.container import ENDINGS
from server.content import sent
from server.errors import bad_request
from server.objects import Deleted, FileList, FileObject
from server.once import once
from server.openapi import answers, file, partly, takes
from server.schemas import FileCreate, Purpose, nested, parse
from server.service import owner_of, service_of
from server.state.blobs import Draft
from server.state.records import FileRecord, new_file_id

router = APIRouter()

BYTES = "application/octet-stream"
DELETED = {"id": "file-8f14e45fceea167a5a36dedd", "object": "file", "deleted": True}


@router.post(
    "/v1/files",
    response_model=None,
    responses=answers(FileObject, 400, 409),
    openapi_extra=takes(FileCreate, upload="file", brackets=True),
)
async def create(request: Request) -> Response:
    """Keep a file, if it is a video (or a picture) that can be read."""
    service = service_of(request)
    async with request.form(max_files=1, max_fields=100) as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            message = "file is missing: send it as a form field of that name."
            raise bad_request(message, code="missing_required_parameter", param="file")
        asked = parse(FileCreate, nested({k: v for k, v in form.items() if k != "file"}), strict=False)
        async with service.blobs.draft() as draft:
            await draft.copy(upload.file)

            async def make(id: str) -> dict[str, Any]:
                record = await _looked_into(request, id, upload, asked, draft)
                return (await service.files.put(record, {record.variant: draft})).as_json()

            async def found(id: str) -> dict[str, Any] | None:
                record = await service.files.find(id, owner_of(request))
                return None if record is None else record.as_json()

            what = (draft.sha256, upload.filename, asked.model_dump())
            return await once(request, what, make, new_file_id, found)


async def _looked_into(
    request: Request, id: str, upload: UploadFile, asked: FileCreate, draft: Draft
) -> FileRecord:
    """The record of an upload that can be read, and is a video if it is called one; a 400 for any other."""
    name, kind = _name(upload.filename), upload.content_type or ""
    moving = kind.startswith("video/") or PurePath(name).suffix.lower() in ENDINGS
    try:
        video = await service_of(request).clips.look_inside(draft.path, moving=moving)
    except InputError as error:
        raise bad_request(error.message, code=error.code, param="file") from error
    record = FileRecord(
        name, asked.purpose, draft.size, draft.sha256, id=id, owner=owner_of(request), video=video
    )
    if asked.expires_after:
        record = replace(record, expires_at=record.created_at + asked.expires_after.seconds)
    return record


def _name(given: str | None) -> str:
    """A name for the list: without control characters, and not too long."""
    return "".join(sign for sign in given or "" if sign.isprintable())[:255] or "video"


@router.get("/v1/files", responses=answers(FileList, 400))
async def list_files(
    request: Request,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    order: Literal["asc", "desc"] = "desc",
    purpose: Purpose | None = None,
) -> dict[str, Any]:
    """A page of files, newest first."""
    where = {"purpose": purpose} if purpose else None
    page = await service_of(request).files.page(owner_of(request), after, limit, order, where)
    return page.as_json([record.as_json() for record in page.records])


@router.get("/v1/files/{id}", responses=answers(FileObject, 404))
async def retrieve(request: Request, id: str) -> dict[str, Any]:
    """One file object."""
    return (await service_of(request).files.get(id, owner_of(request))).as_json()


CONTENT = answers(None, 404, 416, more=file(BYTES))
CONTENT |= partly(file(BYTES))


@router.head("/v1/files/{id}/content", include_in_schema=False)
@router.get("/v1/files/{id}/content", response_class=Response, responses=CONTENT)
async def content(request: Request, id: str) -> Response:
    """The bytes as they came; always a download, never a page of this origin."""
    service, owner = service_of(request), owner_of(request)
    record, asset = await service.files.get(id, owner), await service.files.asset(id, owner)
    return sent(request, service.blobs, asset, record.filename, media_type=BYTES)


@router.delete("/v1/files/{id}", responses=answers(Deleted, 404, example=DELETED))
async def delete(request: Request, id: str) -> dict[str, Any]:
    """Forget a file and its bytes."""
    await service_of(request).files.delete(id, owner_of(request))
    return {"id": id, "object": "file", "deleted": True}
