"""Asynchronous iterators that end when nobody reads them, and a way to wait for them from plain code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def closing(iterator: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """`contextlib.aclosing` for any iterator of our seams: closes it where it can be closed."""
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


async def emitted(
    work: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]],
) -> AsyncGenerator[T, None]:
    """What `work(emit)` emits, as it emits it; its tasks may emit side by side.

    `emit` waits while the item before it is unread, so that work never runs far ahead of its reader.
    What `work` raises is raised here. Closing this cancels the work and waits until it has ended.
    """
    items: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
    room = asyncio.Semaphore(1)

    async def emit(item: T) -> None:
        await room.acquire()
        items.put_nowait((item,))

    async def run() -> None:
        await work(emit)

    working = asyncio.create_task(run())
    working.add_done_callback(lambda _: items.put_nowait(None))
    try:
        while (item := await items.get()) is not None:
            room.release()
            yield item[0]
        await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def blocking(work: Coroutine[Any, Any, T]) -> T:
    """Wait for asynchronous work from plain code; in a notebook, whose loop is busy, beside that loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
