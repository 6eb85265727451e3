"""Video jobs: `POST /v1/videos` answers at once and the drawing goes on by itself.

    queued -> in_progress -> completed | failed        progress only grows; 100: the file is there

`Drawings` keeps video records in step with the assistant's events, for jobs and for chats alike.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from gpt4video.errors import Gpt4VideoError
from gpt4video.interfaces import DrawerLimits
from gpt4video.messages import (
    Event,
    Finished,
    GenerationRequest,
    TextDelta,
    VideoDone,
    VideoFailed,
    VideoProgress,
    VideoRequested,
)
from gpt4video.stages import stage
from server.errors import as_api_error
from server.line import Line
from server.media import data_url, variants
from server.state.blobs import Blobs
from server.state.records import VideoRecord
from server.state.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gpt4video.assistant import Assistant

log = logging.getLogger("gpt4video.server")

VideoEvent = VideoRequested | VideoProgress | VideoDone | VideoFailed
Told = str | VideoRecord | Finished


def blank(
    model: str, owner: str, request: GenerationRequest, limits: DrawerLimits, remixed_from: str | None = None
) -> VideoRecord:
    """A queued record; what the request leaves open is the drawer's own."""
    options = request.options
    return VideoRecord(
        model=model,
        owner=owner,
        prompt=request.prompt or None,
        seconds=options.seconds if options.seconds is not None else limits.seconds,
        size=options.size or limits.size,
        fps=limits.fps,
        seed=options.seed,
        steps=options.steps or limits.steps,
        guidance=options.guidance,
        remixed_from=remixed_from,
    )


class Drawings:
    """The video records of one answer, by their index in it. Unfinished ones stand in the line."""

    def __init__(
        self,
        videos: Store[VideoRecord],
        blobs: Blobs,
        line: Line,
        new: Callable[[GenerationRequest], VideoRecord],
    ) -> None:
        self._videos = videos
        self._blobs = blobs
        self._line = line
        self._new = new
        self._records: dict[int, VideoRecord] = {}

    def adopt(self, record: VideoRecord) -> None:
        """Video number 0 has a record already, and its place in the line."""
        self._records[0] = record

    async def take(self, event: VideoEvent) -> VideoRecord:
        """The record after this event; stored, unless it was deleted meanwhile. Raises `Busy`."""
        record = self._records.get(event.index)
        if record is None:
            record = self._new(getattr(event, "request", None) or GenerationRequest(""))
            if isinstance(event, VideoRequested):
                self._line.join(record.id)
            await self._videos.put(record)
        match event:
            case VideoRequested():
                pass
            case VideoProgress():
                record = replace(
                    record,
                    status="in_progress",
                    started_at=record.started_at or time.time(),
                    # 99 at most: 100 means that the file can be fetched.
                    progress=max(record.progress, min(99, 100 * event.step // max(1, event.steps))),
                    preview_url=await self._preview(event) or record.preview_url,
                )
            case VideoDone():
                record = await self._keep(record, event)
                self._line.leave(record.id)
            case VideoFailed():
                record = _failed(record, event.code, event.message)
        self._records[event.index] = record
        if record.finished:
            self._line.leave(record.id)
        if not isinstance(event, VideoDone):
            await self._videos.change(record)
        return self._line.placed(record)

    async def _preview(self, event: VideoProgress) -> str | None:
        return None if event.preview is None else await asyncio.to_thread(data_url, event.preview)

    async def _keep(self, record: VideoRecord, event: VideoDone) -> VideoRecord:
        """Keep the file and pictures of it, and say so, in one step."""
        with stage("mux"):
            made = await asyncio.to_thread(variants, event.clip)
        height, width = event.clip.frames.shape[1:3]
        done = replace(
            record,
            status="completed",
            progress=100,
            started_at=record.started_at or time.time(),
            completed_at=time.time(),
            seconds=event.clip.duration,
            size=(width, height),
            fps=event.clip.fps,
            seed=event.seed,
            preview_url=None,
        )
        async with AsyncExitStack() as stack:
            drafts = {}
            for name, (data, media_type) in made.items():
                drafts[name] = await stack.enter_async_context(self._blobs.draft(media_type))
                await drafts[name].write(data)
            await self._videos.change(done, drafts)
        return done

    async def abandon(self, code: str = "cancelled", message: str = "The drawing was stopped.") -> None:
        """Whatever is unfinished will not come."""
        for index, record in self._records.items():
            self._line.leave(record.id)
            if not record.finished:
                self._records[index] = _failed(record, code, message)
                await self._videos.change(self._records[index])


def _failed(record: VideoRecord, code: str, message: str) -> VideoRecord:
    return replace(
        record,
        status="failed",
        completed_at=time.time(),
        preview_url=None,
        error={"code": code, "message": message},
    )


async def told(events: AsyncIterator[Event], drawings: Drawings | None) -> AsyncIterator[Told]:
    """An answer as the API tells it: words, video records each time they change, and the end.

    Closing it closes `events`, which stops the work; unfinished videos are then failed as cancelled.
    Raises `Busy` where a video is wanted and the line is too long.
    Without `drawings` nothing is told of videos: the client does not want any.
    """
    try:
        async with aclosing(cast("AsyncGenerator[Event, None]", events)):
            async for event in events:
                match event:
                    case TextDelta():
                        yield event.text
                    case Finished():
                        yield event
                    case _ if drawings is not None:
                        yield await drawings.take(event)
    finally:
        if drawings is not None:
            await drawings.abandon()


class Jobs:
    """Draws what was asked for, in the order of the line, whoever is still listening."""

    def __init__(self, videos: Store[VideoRecord], blobs: Blobs, line: Line, model: str) -> None:
        self._videos = videos
        self._blobs = blobs
        self._line = line
        self._model = model
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def under_way(self) -> int:
        """How many this process draws."""
        return len(self._tasks)

    def drain(self) -> None:
        """Take no more jobs."""

    async def submit(
        self,
        assistant: Assistant,
        request: GenerationRequest,
        owner: str,
        remixed_from: str | None = None,
    ) -> VideoRecord:
        """Queue a drawing whose options were checked; raises `Busy` where the line is too long."""
        record = blank(self._model, owner, request, assistant.limits, remixed_from)
        self._line.join(record.id)
        try:
            await self._videos.put(record)
        except BaseException:
            self._line.leave(record.id)
            raise
        task = asyncio.create_task(self._run(assistant, request, record))
        self._tasks[record.id] = task
        task.add_done_callback(lambda _: self._end(record.id))
        return record

    def _end(self, id: str) -> None:
        """However it ended: one that is cancelled before it began never ran."""
        self._tasks.pop(id, None)
        self._line.leave(id)

    async def _run(self, assistant: Assistant, request: GenerationRequest, record: VideoRecord) -> None:
        drawings = Drawings(
            self._videos,
            self._blobs,
            self._line,
            lambda r: blank(self._model, record.owner, r, assistant.limits),
        )
        drawings.adopt(record)
        try:
            async for _ in told(assistant.draw(request.prompt, request.options), drawings):
                pass
        except Exception as error:
            if not isinstance(error, Gpt4VideoError):
                log.exception("The drawing of %s broke.", record.id)
            shown = as_api_error(error).body["error"]
            current = await self._videos.find(record.id, record.owner)
            if current is not None:
                await self._videos.change(_failed(current, str(shown["code"]), str(shown["message"])))
        finally:
            await drawings.abandon()

    async def cancel(self, id: str) -> None:
        """Stop a job between two steps, and wait until it has stopped."""
        if (task := self._tasks.get(id)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Stop all jobs: the server ends."""
        for id in list(self._tasks):
            await self.cancel(id)
