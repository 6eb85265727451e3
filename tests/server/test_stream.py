"""An answer on its way: whatever the pace, every item arrives, once and in order."""

import asyncio
from contextlib import aclosing

import pytest

from server.stream import paced


async def counted(pauses, ended):
    try:
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            yield number
    finally:
        ended.append(True)


async def test_nothing_is_lost_that_comes_while_a_keep_alive_is_being_sent():
    seen, silences, ended = [], 0, []
    async for item in paced(counted([0.05, 0, 0.05, 0], ended), 0.01):
        if item is None:
            silences += 1
            await asyncio.sleep(0.1)  # a slow client: the next item comes meanwhile
        else:
            seen.append(item)
    assert seen == [0, 1, 2, 3] and silences >= 2 and ended


async def test_leaving_stops_what_is_waited_for():
    ended = []
    async with aclosing(paced(counted([0, 60], ended), 0.01)) as items:
        async for item in items:
            if item is None:
                break
    assert ended


async def test_what_the_items_raise_is_raised_after_what_came_before():
    async def broken():
        yield 1
        raise RuntimeError("model")

    seen = []
    with pytest.raises(RuntimeError, match="model"):
        async for item in paced(broken(), 1):
            seen.append(item)
    assert seen == [1]
