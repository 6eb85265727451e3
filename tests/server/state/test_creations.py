"""What becomes of a creation whose server was killed, on every database."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import update

from server.errors import ApiError
from server.state.creations import Asked, Begun, Creations
from server.state.tables import idempotency

ASKED = Asked("anna", "/v1/videos", "0" * 64, key="k")


async def nothing(id):
    return None


@pytest_asyncio.fixture
async def creations(database) -> Creations:
    return Creations(database)


async def test_an_equal_request_waits_for_the_first_and_gets_its_answer(creations):
    begun = await creations.begin(ASKED, "one", nothing)
    second = asyncio.create_task(creations.begin(ASKED, "two", nothing))
    await asyncio.sleep(0.3)
    assert not second.done()
    await creations.done(begun, {"id": "one"})
    assert await second == {"id": "one"}


async def test_owners_and_routes_have_keys_of_their_own(creations):
    for asked in (
        ASKED,
        Asked("bob", "/v1/videos", "1" * 64, "k"),
        Asked("anna", "/v1/files", "2" * 64, "k"),
    ):
        assert isinstance(await creations.begin(asked, "x", nothing), Begun)
    with pytest.raises(ApiError):
        await creations.begin(Asked("anna", "/v1/videos", "3" * 64, "k"), "x", nothing)


async def test_the_work_of_a_killed_server_is_done_again_or_found(creations, database):
    first = await creations.begin(ASKED, "one", nothing)
    await database.run(update(idempotency).values(leased_until=1.0))
    second = await creations.begin(ASKED, "two", nothing)
    assert second == first  # the same id again: it had not been made

    async def found(id):
        return {"id": id}

    await database.run(update(idempotency).values(leased_until=1.0))
    assert await creations.begin(ASKED, "three", found) == {"id": "one"}
    assert await creations.begin(ASKED, "four", nothing) == {"id": "one"}


async def test_a_key_is_free_again_after_a_day(creations, database):
    first = await creations.begin(ASKED, "one", nothing)
    await creations.done(first, {"id": "one"})
    await database.run(update(idempotency).values(created_at=idempotency.c.created_at - 90_000))
    assert (await creations.begin(ASKED, "two", nothing)).object_id == "two"
