"""What the routes share: the assistant (once it is loaded), the stores, the jobs.

One `Service` lives as long as the app: made by `create_app`, opened and closed with the server.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

import gpt4video
from gpt4video.interfaces import Drawer, EngineStats, alive
from gpt4video.messages import Conversation, DrawOptions, Message, SamplingParams
from gpt4video.stages import listener
from server import moderation
from server.conversation import Reader
from server.drawings import Drawings, Told, blank, told
from server.errors import ApiError, bad_request, loading
from server.fetch import Fetcher
from server.guards import Drain, shutting_down
from server.jobs import Jobs
from server.keys import Keys
from server.leases import Leases
from server.limits import Ledger
from server.media import ClipReader, Looked
from server.metrics import Metrics
from server.observe import drawing, watched
from server.schemas import Drawing
from server.settings import Settings
from server.signing import Signer
from server.state.blobs import Blobs
from server.state.creations import Creations
from server.state.database import FILE_NAME, Database, sqlite_url
from server.state.queue import Queue
from server.state.records import LOCAL, FileRecord, VideoRecord
from server.state.shelf import Shelf
from server.state.spent import Spent
from server.state.store import Store
from server.state.sweep import Sweeper
from server.state.tables import files, videos
from server.stream import Envelope, Moderated
from server.tracing import Traces

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant

LOAD_AFTER = 0.2
"""Seconds between the start of the server and the loading of the model."""

PING_SECONDS = 3.0
"""The database is away when it does not answer for so long; `/health` tells so within 5 seconds."""

log = logging.getLogger("gpt4video.server")


class Service:
    """The assistant and everything that outlives one request."""

    def __init__(self, load: Callable[[], Assistant] | Assistant, settings: Settings) -> None:
        self._load = load
        self._assistant: Assistant | None = None
        self._failure: BaseException | None = None
        self._closing = ExitStack()
        self.settings = settings
        folder = settings.data_dir or Path(
            self._closing.enter_context(tempfile.TemporaryDirectory(prefix="gpt4video-"))
        )
        database_url = settings.database_url or sqlite_url(folder / FILE_NAME)
        self.folder = folder
        self.database = Database(database_url, settings.database_seconds)
        self.blobs = Blobs(settings.blob_url or str(folder / "blobs"), folder / "incoming")
        self.shelf = Shelf(self.database, self.blobs)
        self.files: Store[FileRecord] = Store("file", files, FileRecord, self.shelf)
        self.videos: Store[VideoRecord] = Store("video", videos, VideoRecord, self.shelf)
        self.clips = ClipReader(settings)
        self.reader = Reader(self.files, self.videos, self.clips, Fetcher(settings), settings)
        self.queue = Queue(
            self.shelf, settings.max_queued_videos, settings.lease_seconds, settings.max_attempts
        )
        self.leases = Leases(self.queue)
        self.jobs = Jobs(
            self.queue,
            self.videos,
            self.leases,
            self._drawings,
            settings.model_id,
            settings.drawing_seconds,
            lambda record: drawing(self.metrics, self.traces, record),
        )
        self.creations = Creations(self.database)
        self.sweeper = Sweeper(self.shelf, settings.orphan_seconds)
        self._sweeping: asyncio.Task[None] | None = None
        self.keys = Keys(self.database, settings.limits)
        self.signer = Signer(settings.url_seconds)
        self.ledger = Ledger(Spent(self.database))
        self.drain = Drain()
        self.metrics = Metrics()
        self.traces = Traces.to(settings.otlp_endpoint, settings.model_id) if settings.otlp_endpoint else None

    async def open(self) -> None:
        """Open the stores and begin to load, in a thread of its own, so that the page answers at once.

        The thread starts a moment later: importing torch holds the interpreter for long stretches, and
        the server has to open its socket first.
        """
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        await self.database.open()
        await self.blobs.open()
        await self.signer.open(self.database)
        listener.set(self.metrics.take)  # for tasks of no request; those of requests have their own
        self.jobs.open(lambda: self._assistant)
        self._sweeping = asyncio.create_task(
            self.sweeper.sweep_forever(self.settings.sweep_seconds), name="sweep"
        )
        if not callable(self._load):
            self._assistant = self._load
            return
        thread = threading.Thread(target=self._load_now, args=(self._load,), name="load", daemon=True)
        asyncio.get_running_loop().call_later(LOAD_AFTER, thread.start)

    def _load_now(self, load: Callable[[], Assistant]) -> None:
        try:
            self._assistant = load()
            log.info("The model is loaded.")
        except BaseException as error:
            log.exception("The model could not be loaded.")
            self._failure = error

    async def finish(self) -> None:
        """Take no new work, and wait until what is under way has ended, or for `drain_seconds`."""
        self.drain.begun = True
        self.jobs.drain()
        end = time.monotonic() + self.settings.drain_seconds
        while (self.drain.under_way or self.jobs.under_way) and time.monotonic() < end:
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Stop all drawing and remove what was temporary."""
        await self.jobs.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        self.clips.close()
        await self.database.close()
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)
        await asyncio.to_thread(self._closing.close)

    @property
    def assistant(self) -> Assistant:
        """The assistant, or a 503 as long as there is none."""
        if self._failure is not None:
            message = "The model could not be loaded; the server's log says why."
            raise ApiError(503, message, type="server_error", code="engine_unavailable")
        if self._assistant is None:
            raise loading()
        return self._assistant

    def demand_ready(self) -> None:
        """A 503 unless the assistant is there and the server stays."""
        if self.drain.begun:
            raise shutting_down()
        assert self.assistant is not None, "the property raises where it is not"

    def demand_model(self, name: str | None) -> None:
        """A 404 for a model that is not this one; leaving the name out means this one."""
        if name and name != self.settings.model_id:
            message = f"There is no model {name[:80]!r} here; {self.settings.model_id!r} is."
            raise ApiError(404, message, code="model_not_found", param="model")

    def demand_drawer(self) -> Drawer:
        """The drawer, or a 400 where there is none."""
        if self.assistant.drawer is None:
            raise bad_request("This model does not draw videos.", code="video_not_available", param="model")
        return self.assistant.drawer

    def drawing(self, asked: Drawing | None) -> DrawOptions:
        """How videos shall be drawn; a 400 for what the drawer, where there is one, cannot draw."""
        drawer = self.assistant.drawer
        if asked is None or drawer is None:
            return DrawOptions()
        if asked.fps not in (None, drawer.limits.fps):
            message = f"fps must be {drawer.limits.fps:g}, got {asked.fps:g}."
            raise bad_request(message, param="fps")
        drawer.check(asked.options())
        return asked.options()

    @cached_property
    def fingerprint(self) -> str:
        """`system_fingerprint` of answers: another version, model or drawer gives another one."""
        parts = (gpt4video.__version__, self.settings.model_id, self.assistant.limits)
        return f"fp_{hashlib.sha256(repr(parts).encode()).hexdigest()[:10]}"

    def envelope(self, inputs: tuple[Looked, ...]) -> Envelope:
        """What every object of one answer repeats."""
        return Envelope(self.settings.model_id, self.fingerprint, inputs, self.shown)

    def shown(self, record: VideoRecord) -> dict[str, Any]:
        """The video object as clients get it: the one door through which all of them leave.

        Where keys are asked for, its `url` is signed: a player can fetch it without one.
        """
        shown = record.as_json()
        if shown["url"] and record.owner != LOCAL:
            shown["url"] = self.signer.signed(record.id, record.owner)
        return shown

    def moderated(self, question: Message) -> Moderated:
        """Gives the `moderation` of a chat once its words are known."""
        model = self.settings.model_id
        return lambda answer: moderation.of_chat(self.assistant.safety, question, answer, model)

    def answer(
        self,
        conversation: Conversation,
        params: SamplingParams,
        draw: DrawOptions,
        allow_video: bool,
        owner: str,
    ) -> AsyncIterator[Told]:
        """The assistant's answer as words, video records and the end; what it draws is the owner's."""
        assistant = self.assistant
        drawings = self._drawings(owner)
        params = replace(params, asker=owner)
        events = self.ledger.metered(
            lambda allow: assistant.respond(conversation, params, draw, allow, drawings.stopped),
            owner,
            allow_video,
            self.seconds(draw),
        )
        return told(watched(events), drawings if allow_video else None)

    def _drawings(self, owner: str) -> Drawings:
        """The videos of one answer or job of this owner's."""
        return Drawings(
            self.queue,
            self.videos,
            self.blobs,
            self.leases,
            lambda request: blank(self.settings.model_id, owner, request, self.assistant.limits),
            self.settings.video_lifetime,
            self.ledger.quota(owner),
        )

    def seconds(self, draw: DrawOptions) -> float:
        """How long a video with these options is."""
        return self.assistant.limits.seconds if draw.seconds is None else draw.seconds

    def drawer_ends(self, seconds: float) -> bool:
        """Whether nothing is drawn any more within this time, once nobody wants it."""
        drawer, end = getattr(self._assistant, "drawer", None), time.monotonic() + seconds
        while not (idle := bool(getattr(drawer, "idle", True))) and time.monotonic() < end:
            time.sleep(0.05)
        return idle

    async def faults(self) -> list[str]:
        """What is broken and hardly mends by itself, in words for an operator; empty where all is well."""
        found = list(self.jobs.faults)
        for name, fault in (("language_model", "has ended"), ("drawer", "hangs")):
            if not alive(getattr(self._assistant, name, None)):
                found.append(f"The {name.replace('_', ' ')} {fault}.")
        if self._failure is not None:
            found.append("The model could not be loaded; the server's log says why.")
        try:
            await self.database.ping(PING_SECONDS)
        except ApiError as error:
            found.append(str(error.detail))
        return found

    async def measures(self) -> bytes:
        """Everything `/metrics` tells."""
        jobs = Counter(await self.videos.counts("status"))
        engine = getattr(getattr(self._assistant, "language_model", None), "engine", None)
        stats = engine.stats() if engine is not None else EngineStats()
        drawing = (jobs["queued"], jobs["in_progress"])
        return self.metrics.now(running=stats.running, waiting=stats.waiting, drawing=drawing, jobs=jobs)


def service_of(request: Request) -> Service:
    """The service of the app that this request came to."""
    service = request.app.state.service
    assert isinstance(service, Service), "create_app put it there"
    return service


def owner_of(request: Request) -> str:
    """Whose request this is: the id of its API key, or of everybody where no key is asked for."""
    return str(request.scope.get("owner", LOCAL))
