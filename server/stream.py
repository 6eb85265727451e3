"""An answer on its way to the client: Server-Sent Events, or one whole object.

words           delta.content                 first chunk: delta.role, and video_inputs
video record    delta.video                   each time it changes
the end         finish_reason                 then moderation, usage where asked for, data: [DONE]
silence         ": keep-alive"                 an error: data: {"error": …}
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gpt4video.errors import Gpt4VideoError
from gpt4video.messages import Finished, Usage
from server.drawings import Told
from server.errors import ApiError, ClientGone, as_api_error
from server.guards import unless_gone
from server.media import Looked
from server.state.records import VideoRecord, now

log = logging.getLogger("gpt4video.server")

T = TypeVar("T")
Moderated = Callable[[str], Awaitable[dict[str, Any]]]
"""From the words of an answer to what safety says of question and answer."""
KEEP_ALIVE = b": keep-alive\n\n"


async def paced(items: AsyncIterator[T], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items, and None each time that none came for so many seconds.

    The next item is waited for by one task, which lives until its item was taken: a timeout must neither
    cancel the work nor lose what comes while the None is on its way. Closing this closes `items`.
    """
    async with aclosing(items) as closing:  # type: ignore[type-var]
        getting = asyncio.ensure_future(anext(closing))
        try:
            while True:
                await asyncio.wait({getting}, timeout=seconds)
                if not getting.done():
                    yield None
                    continue
                try:
                    item = getting.result()
                except StopAsyncIteration:
                    return
                yield item
                getting = asyncio.ensure_future(anext(closing))
        finally:
            getting.cancel()
            await asyncio.gather(getting, return_exceptions=True)


@dataclass(frozen=True)
class Envelope:
    """What every object of one answer repeats."""

    model: str
    fingerprint: str
    """Changes when the server or its model does."""
    inputs: tuple[Looked, ...]
    """How the posted videos were looked at."""
    shown: Callable[[VideoRecord], dict[str, Any]]
    """A video record as the client gets it."""
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=now)

    def first(self) -> dict[str, Any]:
        """The chunk that begins a stream."""
        chunk = self.chunk({"role": "assistant", "content": ""})
        return {**chunk, "video_inputs": self.video_inputs()}

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        """One `chat.completion.chunk`."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def extra_chunk(self, **more: Any) -> dict[str, Any]:
        """A chunk after the last one, without words: usage, or moderation, where asked for."""
        return {**self._head("chat.completion.chunk"), "choices": [], **more}

    def video_inputs(self) -> list[dict[str, Any]]:
        """What was really looked at of each posted video."""
        return [video_input(looked) for looked in self.inputs]

    def completion(self, answer: Answer, **more: Any) -> dict[str, Any]:
        """A whole `chat.completion`."""
        message = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "videos": [self.shown(record) for record in answer.videos],
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.end.reason,
        }
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage_json(answer.end.usage),
            "video_inputs": self.video_inputs(),
            **more,
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
        }


def video_input(looked: Looked) -> dict[str, Any]:
    """Frames that were looked at: how many, how many a second, and when each is shown, in seconds."""
    times = looked.clip.times
    span = float(times[-1] - times[0])
    return {
        "frames": len(times),
        "fps": round((len(times) - 1) / span, 3) if span > 0 else None,
        "timestamps": [round(float(time), 3) for time in times],
        "duration": round(looked.clip.duration, 3),
        "cached": looked.cached,
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    """Tokens as OpenAI counts them; nothing of a prompt is kept from one request to the next."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": 0,
            "video_tokens": usage.video_tokens,
            "text_tokens": usage.prompt_tokens - usage.video_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


@dataclass(frozen=True)
class Answer:
    """A whole answer: all its words, the last state of each video, and why it ended."""

    text: str
    videos: tuple[VideoRecord, ...]
    end: Finished


async def whole(told: AsyncIterator[Told]) -> Answer:
    """Wait for all of an answer."""
    words: list[str] = []
    videos: dict[str, VideoRecord] = {}
    end = Finished("stop", Usage())
    async with aclosing(told) as closing:  # type: ignore[type-var]
        async for item in closing:
            match item:
                case str():
                    words.append(item)
                case VideoRecord():
                    videos[item.id] = item
                case Finished():
                    end = item
    return Answer("".join(words), tuple(videos.values()), end)


class Sse(Response):
    """Server-Sent Events as they come. The client leaves -> their source is closed -> all work stops."""

    media_type = "text/event-stream"

    def __init__(self, lines: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_gone(receive, self._send(send))
        except ClientGone:
            pass
        finally:
            await self._close()

    async def _close(self) -> None:
        await self._lines.aclose()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._lines) as lines:
            async for line in lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class EventStream(Sse):
    """An answer as chunks of a chat completion."""

    def __init__(
        self,
        first: Told | None,
        rest: AsyncGenerator[Told | None, None],
        envelope: Envelope,
        include_usage: bool = False,
        moderated: Moderated | None = None,
    ) -> None:
        super().__init__(self._chunks())
        self._first = first
        self._rest = rest
        self._envelope = envelope
        self._include_usage = include_usage
        self._moderated = moderated
        self._said: list[str] = []

    @classmethod
    async def begin(
        cls,
        told: AsyncIterator[Told],
        envelope: Envelope,
        keep_alive: float,
        include_usage: bool = False,
        moderated: Moderated | None = None,
    ) -> EventStream:
        """Wait for the first word, so that what fails before it is an ordinary error and not a broken 200.

        A first word that takes longer than `keep_alive` seconds is not waited for.
        """
        rest = paced(told, keep_alive)
        try:
            first = await anext(rest, Finished("stop", Usage()))
        except BaseException:
            await rest.aclose()
            raise
        return cls(first, rest, envelope, include_usage, moderated)

    async def _close(self) -> None:
        await super()._close()
        await self._rest.aclose()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._data(self._envelope.first())
        try:
            for line in await self._told(self._first):
                yield line
            async for item in self._rest:
                for line in await self._told(item):
                    yield line
        except Exception as error:
            if not isinstance(error, Gpt4VideoError | ApiError):
                log.exception("An answer broke after its first word.")
            yield _line(as_api_error(error).body)
        yield b"data: [DONE]\n\n"

    async def _told(self, item: Told | None) -> list[bytes]:
        match item:
            case None:
                return [KEEP_ALIVE]
            case str():
                if self._moderated is not None:
                    self._said.append(item)
                return [self._data(self._envelope.chunk({"content": item}))]
            case VideoRecord():
                return [self._data(self._envelope.chunk({"video": self._envelope.shown(item)}))]
            case Finished():
                lines = [self._data(self._envelope.chunk({}, item.reason))]
                if self._moderated is not None:
                    verdicts = await self._moderated("".join(self._said))
                    lines.append(self._data(self._envelope.extra_chunk(moderation=verdicts)))
                if self._include_usage:
                    lines.append(_line(self._envelope.extra_chunk(usage=usage_json(item.usage))))
                return lines

    def _data(self, chunk: dict[str, Any]) -> bytes:
        return _line({**chunk, "usage": None} if self._include_usage else chunk)


def _line(value: Any) -> bytes:
    return b"data: %b\n\n" % to_json(value)
