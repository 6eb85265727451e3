"""One test for the SDK's two clients: what either of them gives, plain or awaited.

Each test is a coroutine. `it` waits for what has to be waited for; the blocking client blocks meanwhile,
which does no harm: the server runs in a thread of its own.
"""

from __future__ import annotations

import inspect
from typing import Any

import openai

CLIENTS = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}


async def it(value: Any) -> Any:
    """The value itself, or what it is awaited to."""
    return await value if inspect.isawaitable(value) else value


async def all_of(items: Any) -> list[Any]:
    """Everything in a stream of chunks, or on all pages of a list."""
    items = items if hasattr(items, "__aiter__") else await it(items)
    if hasattr(items, "__aiter__"):
        return [item async for item in items]
    return list(items)


async def data_of(content: Any) -> bytes:
    """The bytes of a downloaded file."""
    content = await it(content)
    return await it(content.aread() if hasattr(content, "aread") else content.read())


async def closed(client: Any) -> None:
    """Close either client."""
    await it(client.close())


class Opened:
    """A context manager of either client, as an asynchronous one."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        if hasattr(self._manager, "__aenter__"):
            return await self._manager.__aenter__()
        return self._manager.__enter__()

    async def __aexit__(self, *error: Any) -> None:
        if hasattr(self._manager, "__aexit__"):
            await self._manager.__aexit__(*error)
        else:
            self._manager.__exit__(*error)
