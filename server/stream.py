"""An answer on its way to the client: Server-Sent Events, or one whole object.

words           delta.content                 first chunk: delta.role
video record    delta.video                   each time it changes
the end         finish_reason, usage          then data: [DONE]
silence         ": keep-alive"                 an error: data: {"error": …}
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gpt4video.errors import Gpt4VideoError
from gpt4video.messages import Finished, Usage
from server.drawings import Told
from server.errors import ApiError, ClientGone, as_api_error
from server.guards import unless_gone
from server.state.records import VideoRecord, now

log = logging.getLogger("gpt4video.server")

T = TypeVar("T")
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
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=now)

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        """One `chat.completion.chunk`."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        """The chunk after the last one, when `include_usage` asked for it."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_json(usage)}

    def completion(self, answer: Answer) -> dict[str, Any]:
        """A whole `chat.completion`."""
        message = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "videos": [record.as_json() for record in answer.videos],
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.end.reason,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage_json(answer.end.usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_json(usage: Usage) -> dict[str, int]:
    """Tokens as OpenAI counts them."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
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


class EventStream(Response):
    """An answer as Server-Sent Events. The client leaves -> the answer is closed -> all work stops."""

    media_type = "text/event-stream"

    def __init__(
        self,
        first: Told | None,
        rest: AsyncGenerator[Told | None, None],
        envelope: Envelope,
        include_usage: bool = False,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._rest = rest
        self._envelope = envelope
        self._include_usage = include_usage

    @classmethod
    async def begin(
        cls, told: AsyncIterator[Told], envelope: Envelope, keep_alive: float, include_usage: bool = False
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
        return cls(first, rest, envelope, include_usage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await unless_gone(receive, self._send(send))
        except ClientGone:
            pass
        finally:
            await self._rest.aclose()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._lines()) as lines:
            async for line in lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        yield self._data(self._envelope.chunk({"role": "assistant", "content": ""}))
        try:
            for line in self._told(self._first):
                yield line
            async for item in self._rest:
                for line in self._told(item):
                    yield line
        except Exception as error:
            if not isinstance(error, Gpt4VideoError | ApiError):
                log.exception("An answer broke after its first word.")
            yield _line(as_api_error(error).body)
        yield b"data: [DONE]\n\n"

    def _told(self, item: Told | None) -> list[bytes]:
        match item:
            case None:
                return [KEEP_ALIVE]
            case str():
                return [self._data(self._envelope.chunk({"content": item}))]
            case VideoRecord():
                return [self._data(self._envelope.chunk({"video": item.as_json()}))]
            case Finished():
                lines = [self._data(self._envelope.chunk({}, item.reason))]
                if self._include_usage:
                    lines.append(_line(self._envelope.usage_chunk(item.usage)))
                return lines

    def _data(self, chunk: dict[str, Any]) -> bytes:
        return _line({**chunk, "usage": None} if self._include_usage else chunk)


def _line(value: Any) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
