"""A server on a socket, and the clients that call it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx2
import openai
import postgres
import pytest
from web_stand_ins import make_assistant, mp4_of, running

from gpt4video.assistant import Assistant
from server.app import create_app
from server.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def no_proxies():
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server; its URL without the name of a database."""
    if (bin := postgres.programs()) is None:
        pytest.skip(postgres.MISSING)
    with postgres.server(bin) as url:
        yield url


@pytest.fixture
def assistant() -> Assistant:
    return make_assistant()


@pytest.fixture
def settings() -> Settings:
    return Settings(max_body_bytes=2_000_000, max_messages=100, keep_alive_seconds=0.3)


@pytest.fixture
def url(assistant, settings) -> Iterator[str]:
    with running(create_app(assistant, settings)) as url:
        yield url


@pytest.fixture
def http(url) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture
def sdk(url) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def red() -> bytes:
    return mp4_of("red")
