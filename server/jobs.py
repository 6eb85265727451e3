"""Video jobs: `POST /v1/videos` answers at once; the drawing goes on by itself, on any server that is free.

    submit --> queue in the database --> _work: take, draw, finish; one after the other in each process

A server that ends in order gives its job back; one that is killed loses the lease on it. Either way the next
server draws it from the start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing, suppress
from typing import TYPE_CHECKING

from gpt4video.errors import DrawerHangs, Gpt4VideoError
from gpt4video.interfaces import alive
from gpt4video.messages import (
    DrawOptions,
    GenerationRequest,
    VideoDone,
    VideoFailed,
    VideoProgress,
    VideoRequested,
)
from server.drawings import Drawings, blank, failed
from server.errors import DATABASE, ApiError, as_api_error, code_of
from server.leases import Leases
from server.observe import Outcome
from server.state.queue import Lease, Lost, Queue
from server.state.records import VideoRecord
from server.state.spent import Quota
from server.state.store import Store

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant

LOOK_SECONDS = 1.0
"""How often a server that draws nothing looks for jobs that other servers took in or left behind."""

log = logging.getLogger("gpt4video.server")


class Jobs:
    """Takes jobs from the queue and draws them, whoever is still listening."""

    def __init__(
        self,
        queue: Queue,
        videos: Store[VideoRecord],
        leases: Leases,
        drawings: Callable[[str], Drawings],
        model: str,
        most_seconds: float,
        watch: Callable[[VideoRecord], AbstractContextManager[Outcome]],
    ) -> None:
        """`drawings(owner)` makes the records of one drawing, which may take `most_seconds`.

        `watch(record)` is around it, and is told how it ended.
        """
        self._queue = queue
        self._videos = videos
        self._leases = leases
        self._drawings = drawings
        self._model = model
        self._most_seconds = most_seconds
        self._watch = watch
        self._tasks: list[asyncio.Task[None]] = []
        self._drawing: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._draining = False

    def open(self, assistant: Callable[[], Assistant | None]) -> None:
        """Begin to work, as soon as there is an assistant."""
        self._tasks = [
            asyncio.create_task(self._work(assistant), name="jobs"),
            asyncio.create_task(self._leases.beat_forever(), name="heartbeat"),
        ]

    @property
    def faults(self) -> list[str]:
        """What has ended that should not have."""
        return [f"The {task.get_name()} task has ended." for task in self._tasks if task.done()]

    async def submit(
        self,
        assistant: Assistant,
        request: GenerationRequest,
        owner: str,
        remixed_from: str | None = None,
        id: str | None = None,
        quota: Quota | None = None,
    ) -> VideoRecord:
        """Queue a drawing whose options were checked; raises as `Queue.join` does."""
        record = blank(self._model, owner, request, assistant.limits, remixed_from, id)
        await self._queue.join(record, quota=quota)
        self._wake.set()
        [record] = await self._queue.placed([record])
        return record

    async def cancel(self, id: str, owner: str) -> VideoRecord:
        """Stop a video between two steps; the record afterwards, or a 404. A finished one stays as it is."""
        await self._videos.get(id, owner)
        if await self._queue.cancel(id, owner):
            await self.stop(id)
        return await self._videos.get(id, owner)

    async def delete(self, id: str, owner: str) -> None:
        """Forget a video and its bytes, or a 404; what draws it stops."""
        await self._videos.delete(id, owner)
        await self.stop(id)

    async def stop(self, id: str) -> None:
        """Stop drawing what is not wanted any more, if it is drawn here, and wait for that."""
        drawing = self._drawing
        mine = drawing is not None and drawing.get_name() == id
        self._leases.lose_video(id)
        if mine and drawing is not None:
            await asyncio.wait({drawing})

    async def _work(self, assistant: Callable[[], Assistant | None]) -> None:
        away = False
        while True:
            self._wake.clear()
            taken = None
            try:
                ready = assistant()
                if ready is not None and not alive(ready.drawer):
                    ready = None  # other servers draw what waits, or this one once it is well
                if ready is not None and not self._draining:
                    taken = await self._queue.take()
                if ready is not None and taken is not None:
                    await self._drawn(ready, *taken)
                away = False
            except ApiError as error:
                if not away:  # once, not every second
                    log.warning("The queue cannot be asked: %s", error.detail)
                away = True
            except Exception:
                log.exception("The worker stumbled.")
            if taken is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()

    async def _drawn(self, assistant: Assistant, record: VideoRecord, lease: Lease) -> None:
        """Draw one job in a task of its own, which is cancelled when its lease is lost."""
        self._drawing = asyncio.create_task(self._watched(assistant, record, lease), name=record.id)
        self._leases.hold(lease, self._drawing.cancel)
        try:
            await asyncio.wait({self._drawing})
        except asyncio.CancelledError:  # the server ends
            self._drawing.cancel()
            await asyncio.wait({self._drawing})
            if lease in self._leases:
                with suppress(ApiError):  # then it runs out
                    await self._queue.give_back(lease)
            raise
        finally:
            self._leases.drop(lease)
            self._drawing = None

    async def _watched(self, assistant: Assistant, record: VideoRecord, lease: Lease) -> None:
        with self._watch(record) as outcome:
            record = await self._draw(assistant, record, lease)
            if record.finished:
                outcome.status = record.status
                outcome.error = record.error["code"] if record.error else None

    async def _draw(self, assistant: Assistant, record: VideoRecord, lease: Lease) -> VideoRecord:
        """From the start to its end, told in the record; the record as it was at last."""
        drawings = self._drawings(record.owner)
        drawings.adopt(record, lease)
        options = DrawOptions(record.seconds, record.size, record.steps, record.guidance, record.seed)
        timer, begun = asyncio.timeout(self._most_seconds), False
        try:
            async with timer, aclosing(assistant.draw(record.prompt or "", options)) as events:
                async for event in events:
                    if isinstance(event, VideoFailed) and event.code == DrawerHangs.code:
                        await self._queue.give_back(lease)
                        break
                    if isinstance(event, VideoProgress) and not begun:  # its turn has come
                        begun = True
                        timer.reschedule(asyncio.get_running_loop().time() + self._most_seconds)
                    if isinstance(event, VideoRequested | VideoProgress | VideoDone | VideoFailed):
                        record = await drawings.take(event)
        except Exception as error:
            record = await self._failed(record, lease, self._too_long() if timer.expired() else error)
        return record

    async def _failed(self, record: VideoRecord, lease: Lease, error: Exception) -> VideoRecord:
        """Tell why a drawing broke, unless the database is what broke it: then the lease runs out."""
        if not isinstance(error, Gpt4VideoError | ApiError | Lost):
            log.error("The drawing of %s broke.", record.id, exc_info=error)
        shown = as_api_error(error).body["error"]
        ended = failed(record, str(shown["code"]), str(shown["message"]))
        if code_of(error) not in DATABASE:  # else it was tried for long enough
            try:
                await self._queue.finish(lease, ended)
                return ended
            except Lost:
                return ended
            except ApiError as away:
                error = away
        log.warning("The end of %s was not kept; the next server draws it: %s", record.id, error)
        return record

    def _too_long(self) -> ApiError:
        message = f"The drawing took longer than {self._most_seconds:g} seconds."
        return ApiError(504, message, type="server_error", code="timeout")

    def drain(self) -> None:
        """Take no more jobs from now on."""
        self._draining = True

    @property
    def under_way(self) -> int:
        """How many jobs this process draws at the moment."""
        return int(self._drawing is not None)

    async def close(self) -> None:
        """End; what is being drawn goes back into the queue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
