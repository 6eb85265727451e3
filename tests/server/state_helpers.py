"""What several tests of the state do."""

from __future__ import annotations

from server.state.records import FileRecord


async def post(files, data: bytes, owner: str = "anna", **more) -> FileRecord:
    async with files._shelf.blobs.draft() as draft:
        await draft.write(data)
        record = FileRecord("x.mp4", "user_data", draft.size, draft.sha256, owner=owner, **more)
        return await files.put(record, {"content": draft})
