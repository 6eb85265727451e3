"""The SDK's two clients before one server."""

import asyncio
import json

import pytest
from web_stand_ins import make_assistant, running

from server.app import create_app
from server.cli import main
from server.settings import Settings
from tests.server.conformance.both import CLIENTS, closed


@pytest.fixture
def settings():
    return Settings(keep_alive_seconds=0.3, max_body_bytes=4_000_000)


@pytest.fixture(params=CLIENTS)
async def sdk(request, url):
    client = CLIENTS[request.param](base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=30)
    yield client
    await closed(client)


@pytest.fixture
def guarded(tmp_path, capsys):
    """A server that wants a key, and a key that may ask twice in a minute: its address and the key."""
    folder = tmp_path / "data"
    limits = ["--requests-per-minute", "2"]
    assert main(["keys", "create", "--name", "me", "--data", str(folder), "--json", *limits]) == 0
    key = json.loads(capsys.readouterr().out)["key"]
    with running(create_app(make_assistant(), Settings(data_dir=folder))) as url:
        yield url, key


@pytest.fixture(params=CLIENTS)
async def client_of(request):
    """Makes clients that are closed at the end."""
    made = []

    def make(url, key, **options):
        made.append(CLIENTS[request.param](base_url=f"{url}/v1", api_key=key, timeout=30, **options))
        return made[-1]

    yield make
    await asyncio.gather(*map(closed, made))
