"""The assistant's events as video records, for jobs and for chats alike.

    queued -> in_progress -> completed | failed        progress only grows; 100: the file is there

Each record is held by a lease while it is drawn. It is lost when the video is cancelled or deleted, here or
on another server of the same database, or when somebody else has taken it over: then the drawing stops
between two steps, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

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
from server.errors import DATABASE, ApiError, as_api_error, code_of
from server.leases import Leases
from server.media import data_url, variants
from server.state.blobs import Blobs, Draft
from server.state.queue import Lease, Lost, Queue
from server.state.records import VideoRecord, new_video_id
from server.state.shelf import NOTHING
from server.state.spent import OVER_QUOTA, Quota
from server.state.store import Store
from server.tracing import traceparent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TELL_SECONDS = 1.0
"""After the first step, progress is written at most this often; who listens to the stream hears every one."""

log = logging.getLogger("gpt4video.server")

VideoEvent = VideoRequested | VideoProgress | VideoDone | VideoFailed
Told = str | VideoRecord | Finished


def blank(
    model: str,
    owner: str,
    request: GenerationRequest,
    limits: DrawerLimits,
    remixed_from: str | None = None,
    id: str | None = None,
) -> VideoRecord:
    """A queued record; what the request leaves open is the drawer's own."""
    options = request.options
    return VideoRecord(
        id=id or new_video_id(),
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
        traceparent=traceparent.get(),
    )


class Drawings:
    """The video records of one answer, by their index in it, each with the lease that says it is ours."""

    def __init__(
        self,
        queue: Queue,
        videos: Store[VideoRecord],
        blobs: Blobs,
        leases: Leases,
        new: Callable[[GenerationRequest], VideoRecord],
        lifetime: float | None = None,
        quota: Quota | None = None,
    ) -> None:
        """`lifetime` is how long the bytes of a drawn video are kept, in seconds; None: until deleted.

        What is drawn is charged to `quota`; a video that does not fit into it fails.
        """
        self._queue = queue
        self._videos = videos
        self._blobs = blobs
        self._leases = leases
        self._new = new
        self._lifetime = lifetime
        self._quota = quota
        self._records: dict[int, VideoRecord] = {}
        self._held: dict[int, Lease] = {}
        self._told_at: dict[int, float] = {}

    def adopt(self, record: VideoRecord, lease: Lease) -> None:
        """Video number 0 has a record already, and we hold it."""
        self._records[0], self._held[0] = record, lease

    def stopped(self, index: int) -> bool:
        """Whether this video shall not be drawn: it was cancelled or deleted, or never admitted."""
        if index in self._held:
            return self._held[index] not in self._leases
        return index in self._records

    async def take(self, event: VideoEvent) -> VideoRecord:
        """The record after this event, kept unless it is not ours any more. Raises `Busy`."""
        record = self._records.get(event.index)
        if record is None:
            record = await self._begin(event)
        if record.finished:
            return record
        match event:
            case VideoRequested():
                record = await self._placed(record)
            case VideoProgress():
                record = await self._progressed(record, event)
            case VideoDone():
                record = await self._done(record, event)
            case VideoFailed():
                record = await self._end(event.index, failed(record, event.code, event.message))
        self._records[event.index] = record
        return record

    async def _begin(self, event: VideoEvent) -> VideoRecord:
        """A record of its own for what was asked for, or could not even be asked for."""
        record = self._new(getattr(event, "request", None) or GenerationRequest(""))
        if isinstance(event, VideoFailed):
            record = self._records[event.index] = failed(record, event.code, event.message)
            return await self._videos.put(record)
        lease = Lease.of(record.id)
        try:
            await self._queue.join(record, lease, self._quota)
        except ApiError as error:
            if code_of(error) != OVER_QUOTA:
                raise
            record = self._records[event.index] = failed(record, OVER_QUOTA, str(error.detail))
            return await self._videos.put(record)
        self._leases.hold(lease)
        self._held[event.index], self._records[event.index] = lease, record
        return record

    async def _placed(self, record: VideoRecord) -> VideoRecord:
        try:
            [record] = await self._queue.placed([record])
        except ApiError as error:  # a place is not worth a drawing
            log.warning("The place of %s is not known: %s", record.id, error.detail)
        return record

    async def _progressed(self, record: VideoRecord, event: VideoProgress) -> VideoRecord:
        record = replace(
            record,
            status="in_progress",
            started_at=record.started_at or time.time(),
            # 99 at most: 100 means that the file can be fetched.
            progress=max(record.progress, min(99, 100 * event.step // max(1, event.steps))),
            preview_url=await self._preview(event) or record.preview_url,
            queue_position=None,
        )
        # Its beginning and its first picture are told at once.
        if event.step <= 1 or time.monotonic() - self._told_at.get(event.index, 0.0) >= TELL_SECONDS:
            self._told_at[event.index] = time.monotonic()
            try:
                await self._queue.change(self._held[event.index], record)
            except Lost:
                self._leases.lose(self._held[event.index])
            except ApiError as error:  # the next step will tell it, and the last one has to
                log.info("The progress of %s was not kept: %s", record.id, error.detail)
        return record

    async def _preview(self, event: VideoProgress) -> str | None:
        return None if event.preview is None else await asyncio.to_thread(data_url, event.preview)

    async def _done(self, record: VideoRecord, event: VideoDone) -> VideoRecord:
        """Keep the file and pictures of it, and say so, in one step."""
        with stage("mux"):
            made = await asyncio.to_thread(variants, event.clip)
        height, width = event.clip.frames.shape[1:3]
        ended = time.time()
        done = replace(
            record,
            status="completed",
            progress=100,
            started_at=record.started_at or ended,
            completed_at=ended,
            expires_at=None if self._lifetime is None else ended + self._lifetime,
            seconds=event.clip.duration,
            size=(width, height),
            fps=event.clip.fps,
            seed=event.seed,
            preview_url=None,
            queue_position=None,
        )
        try:
            async with AsyncExitStack() as stack:
                drafts = {}
                for name, (data, media_type) in made.items():
                    drafts[name] = await stack.enter_async_context(self._blobs.draft(media_type))
                    await drafts[name].write(data)
                return await self._end(event.index, done, drafts)
        except (ApiError, OSError) as error:
            if code_of(error) in DATABASE:  # it could not even be told that it failed
                raise
            log.warning("The bytes of %s were not kept: %r", record.id, error)
            told = as_api_error(error).body["error"]
            return await self._end(event.index, failed(record, str(told["code"]), str(told["message"])))

    async def _end(
        self, index: int, record: VideoRecord, drafts: Mapping[str, Draft] = NOTHING
    ) -> VideoRecord:
        """Tell how it ended; where it is not ours any more, it was cancelled.

        Raises `ApiError` where the database could not be reached for as long as a lease lasts. The lease is
        dropped then; once it has run out, somebody else draws the video, or says that it failed.
        """
        lease = self._held[index]
        try:
            await self._queue.finish(lease, record, drafts)
        except Lost:
            record = failed(record, "cancelled", "The drawing was stopped.")
        finally:
            self._leases.drop(lease)
        return record

    async def abandon(self, code: str = "cancelled", message: str = "The drawing was stopped.") -> None:
        """Whatever is unfinished will not come."""
        for index, record in self._records.items():
            if not record.finished and self._held.get(index) in self._leases:
                self._records[index] = await self._end(index, failed(record, code, message))


def failed(record: VideoRecord, code: str, message: str) -> VideoRecord:
    """The record of a video that will not come."""
    return replace(
        record,
        status="failed",
        completed_at=time.time(),
        preview_url=None,
        queue_position=None,
        error={"code": code, "message": message},
    )


async def told(events: AsyncIterator[Event], drawings: Drawings | None) -> AsyncIterator[Told]:
    """An answer as the API tells it: words, video records each time they change, and the end.

    Closing it closes `events`, which stops the work; unfinished videos are then failed as cancelled.
    Raises `Busy` where a video is wanted and the queue is too long.
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
