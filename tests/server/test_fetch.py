"""An address that somebody posts leads to what it names, and never to what lies behind the server."""

import asyncio
import contextlib
import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator

import pytest
from web_stand_ins import make_assistant, mp4_of, running

from gpt4video.errors import VideoError
from server.app import create_app
from server.fetch import Fetcher, is_public
from server.settings import Settings


class Site:
    """A web server by hand: path -> what it writes; notes who came by which name."""

    def __init__(self) -> None:
        self.pages: dict[str, object] = {}
        self.hosts: list[str] = []
        self.guests: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.guests.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            self.head = head.lower()
            self.hosts += [line[6:] for line in lines if line.lower().startswith("host: ")]
            page = self.pages[lines[0].split(" ")[1]]
            if isinstance(page, bytes):
                writer.write(page)
            else:
                await page(writer)
            await writer.drain()
        writer.close()


def ok(body: bytes, *headers: str) -> bytes:
    lines = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers])
    return lines.encode() + b"\r\n\r\n" + body


def moved(where: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    yield site
    server.close()
    for guest in site.guests:
        guest.close()
        with contextlib.suppress(ConnectionError):
            await guest.wait_closed()


def to(*addresses: str):
    """A resolver that gives these answers, one list after the other; the last one stays."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        answers = addresses[min(len(asked), len(addresses)) - 1]
        return answers.split()

    resolve.asked = asked
    return resolve


SETTINGS = Settings(
    media_hosts=("site.test", "*.cdn.test", "bücher.test", "127.0.0.1", "[::ffff:127.0.0.1]"),
    fetch_http=True,
    max_video_bytes=100_000,
    fetch_seconds=30.0,
)


def fetcher(site: Site, resolve=None, settings: Settings = SETTINGS, public=lambda address: True) -> Fetcher:
    """One that may go to loopback, since that is where the site is."""
    return Fetcher(
        settings, resolve=resolve or to("127.0.0.1"), public=public, ports={"http": site.port, "https": 1}
    )


async def code_of(fetching) -> str:
    with pytest.raises(VideoError) as caught:
        await fetching
    return caught.value.code


async def test_what_lies_at_an_address_is_fetched_under_its_own_name(site):
    site.pages = {"/a.mp4?x=1": ok(b"video")}
    assert await fetcher(site).fetch(f"http://site.test:{site.port}/a.mp4?x=1#part") == b"video"
    assert site.hosts == [f"site.test:{site.port}"]
    assert "accept-encoding: identity" in site.head and "cookie" not in site.head


async def test_a_name_in_any_alphabet_is_one_name(site):
    site.pages = {"/": ok(b"x")}
    settings = Settings(media_hosts=("xn--bcher-kva.test",), fetch_http=True)
    resolve = to("127.0.0.1")
    assert await fetcher(site, resolve, settings).fetch("http://BÜCHER.test/") == b"x"
    assert resolve.asked == ["xn--bcher-kva.test"]


async def test_names_are_looked_up_once_and_what_was_checked_is_dialled(site):
    """A resolver that answers differently the second time is not asked a second time."""
    site.pages = {"/": ok(b"x")}
    resolve = to("127.0.0.1", "10.0.0.1")
    assert await fetcher(site, resolve).fetch("http://site.test/") == b"x"
    assert resolve.asked == ["site.test"]


async def test_a_name_that_leads_inside_is_not_dialled_whatever_else_it_leads_to(site):
    site.pages = {"/": ok(b"secret")}
    for answers in ("127.0.0.1", "93.184.216.34 127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", ""):
        strict = fetcher(site, to(answers), public=is_public)
        assert await code_of(strict.fetch("http://site.test/")) == "media_url_not_allowed"
    assert site.hosts == []


async def test_a_rebinding_name_is_checked_again_at_every_step(site):
    """Public at first, and inside when the redirect comes back to the same name."""
    site.pages = {"/": moved("/again"), "/again": ok(b"secret")}
    seen = []

    def first_time_only(address: str) -> bool:
        seen.append(address)
        return len(seen) == 1

    resolve = to("127.0.0.1")
    strict = fetcher(site, resolve, public=first_time_only)
    assert await code_of(strict.fetch("http://site.test/")) == "media_url_not_allowed"
    assert resolve.asked == ["site.test", "site.test"]
    assert len(site.hosts) == 1


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://2130706433/",
        "http://localhost/",
        "//evil.test/",
        "file:///etc/passwd",
        "ftp://site.test/",
        "http://user@site.test/",
        "http://site.test:22/",
        "gopher://site.test/",
    ],
)
async def test_a_redirect_is_judged_like_an_address_of_its_own(site, target):
    site.pages = {"/": moved(target)}
    settings = Settings(media_hosts=("site.test",), fetch_http=True)
    assert (
        await code_of(fetcher(site, settings=settings).fetch("http://site.test/")) == "media_url_not_allowed"
    )
    assert len(site.hosts) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "[::]", "0.0.0.0", "inside.test"]
)
async def test_a_redirect_inside_is_not_followed_though_its_host_is_allowed(site, host):
    """By `*` every host is: what counts is where it leads. The site's own address stands for the internet."""
    site.pages = {"/": moved(f"http://{host}/secret")}

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "site.test" else ["127.0.0.2"]

    settings = Settings(media_hosts=("*",), fetch_http=True)
    strict = fetcher(site, resolve, settings, public=lambda address: address == "127.0.0.1")
    with socket.create_server(("127.0.0.2", site.port)) as inside:
        inside.settimeout(0.1)
        assert await code_of(strict.fetch("http://site.test/")) == "media_url_not_allowed"
        with pytest.raises(TimeoutError):
            inside.accept()
    assert site.hosts == ["site.test"]


async def test_three_redirects_are_followed_and_no_more(site):
    site.pages = {f"/{i}": moved(f"/{i + 1}", status=307) for i in range(5)} | {"/5": ok(b"there")}
    assert await fetcher(site).fetch("http://site.test/2") == b"there"
    assert await code_of(fetcher(site).fetch("http://site.test/1")) == "media_fetch_failed"


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://017700000001/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://[::127.0.0.1]/",
        "http://[::]/",
        "http://0.0.0.0/",
        "http://0/",
        "http://0x7f000001./",
        "http://00000177.0.0.1/",
        "http://[fe80::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[::1%25lo]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:7f00:1::]/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://127%2e0.0.1/",
        "http://127.0.0.1%00.site.test/",
        "http://127。0。0。1/",
        "http://site.test\r\nHost: x/",
        "http://site.test:0/",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "http://localhost/",
        "http://localhost./",
        "http://127.0.0.1.:80/",
        "http://site.test@127.0.0.1/",
        "http://127.0.0.1\\@site.test/",
        "http://site.test:8080/",
        "http:///x",
        "http://",
        "http://[",
        "http://exa mple/",
        "ftp://site.test/",
        "http://\u0000/",
        "http://①②⑦.⓪.⓪.①/",
        "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
        "http://127.0.0.1#@site.test/",
        "http://127.0.0.1?@site.test/",
        "http://site.test:x@127.0.0.1/",
    ],
)
async def test_an_address_that_leads_inside_is_refused_with_every_host_allowed(url):
    """The default rules: nothing is resolved by tricks, nothing on this machine is dialled."""
    strict = Fetcher(Settings(media_hosts=("*",), fetch_http=True, fetch_seconds=5.0))
    assert await code_of(strict.fetch(url)) == "media_url_not_allowed"


@pytest.mark.parametrize(
    "url", ["http://site.test/", "https://site.test.evil.test/", "https://evil.test/", "https://cdn.test/"]
)
async def test_only_hosts_of_the_list_are_fetched_from_and_https_only_unless_told(url):
    strict = Fetcher(Settings(media_hosts=("site.test", "*.cdn.test")))
    strict.check("https://a.cdn.test/x")
    strict.check("https://SITE.test./x")
    assert await code_of(strict.fetch(url)) == "media_url_not_allowed"


async def test_off_means_off():
    assert await code_of(Fetcher(Settings()).fetch("https://example.org/a.mp4")) == "media_url_not_allowed"


async def test_a_body_without_end_is_cut_at_the_cap(site):
    async def forever(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()

    site.pages = {"/": forever, "/told": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"}
    for path in ("/", "/told"):
        assert await code_of(fetcher(site).fetch(f"http://site.test{path}")) == "video_too_large"


async def test_nothing_but_the_head_is_read_of_what_leads_on(site):
    async def endless(writer):
        writer.write(b"HTTP/1.1 302 Moved\r\nLocation: /there\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()

    site.pages = {"/": endless, "/there": ok(b"there")}
    assert await fetcher(site).fetch("http://site.test/") == b"there"


async def test_a_head_without_end_is_left(site):
    async def lines(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async def hints(writer):
        while True:
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    site.pages = {"/lines": lines, "/hints": hints}
    settings = Settings(media_hosts=("site.test",), fetch_http=True, fetch_seconds=2.0)
    for path in site.pages:
        fetching = fetcher(site, settings=settings).fetch(f"http://site.test{path}")
        assert await code_of(fetching) == "media_fetch_failed"


@pytest.mark.parametrize(
    "how", ["Content-Encoding: gzip", "Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked"]
)
async def test_a_gzip_bomb_is_never_opened(site, how):
    bomb = gzip.compress(bytes(2**26))  # 64 MiB in 64 KiB
    assert len(bomb) < SETTINGS.max_video_bytes
    site.pages = {"/": ok(bomb, how), "/plain": ok(bomb)}
    assert await code_of(fetcher(site).fetch("http://site.test/")) == "media_fetch_failed"
    assert await fetcher(site).fetch("http://site.test/plain") == bomb, "a file that is one is what it is"


async def test_a_name_server_that_does_not_answer_holds_up_nobody_else(monkeypatch):
    answer = threading.Event()

    def silent(*_, **__):
        answer.wait(60)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    settings = Settings(media_hosts=("*",), fetch_seconds=2.0, max_fetches=40)  # more than Python has threads
    waiting = Fetcher(settings)
    try:
        fetching = [asyncio.create_task(waiting.fetch(f"https://a{i}.test/")) for i in range(40)]
        await asyncio.sleep(0.5)
        await asyncio.wait_for(asyncio.to_thread(lambda: None), 20)
        assert {await code_of(task) for task in fetching} == {"media_fetch_failed"}
    finally:
        answer.set()


async def test_a_body_that_drips_is_left_when_the_time_is_over(site):
    async def drip(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def silent(writer):
        await asyncio.sleep(60)

    site.pages = {"/drip": drip, "/silent": silent}
    quick = {"media_hosts": ("site.test",), "fetch_http": True}
    for path, settings in {
        "/drip": Settings(**quick, fetch_seconds=1.0),
        "/silent": Settings(**quick, fetch_idle_seconds=0.5),
    }.items():
        began = time.monotonic()
        fetching = fetcher(site, settings=settings).fetch(f"http://site.test{path}")
        assert await code_of(fetching) == "media_fetch_failed"
        assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "page",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nsecret",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nzip",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"",
        moved("http://[/"),
    ],
)
async def test_what_goes_wrong_within_is_always_told_in_the_same_words(site, page):
    site.pages = {"/": page}
    with pytest.raises(VideoError) as caught:
        await fetcher(site).fetch("http://site.test/")
    assert caught.value.code in ("media_fetch_failed", "media_url_not_allowed")
    assert not {"secret", "SSH", "404", "127.0.0.1"} & set(caught.value.message.split())


async def test_no_proxy_of_the_environment_is_asked(site, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    site.pages = {"/": ok(b"x")}
    assert await fetcher(site).fetch("http://site.test/") == b"x"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("64:ff9b::5db8:d822", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("192.0.0.192", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("::ffff:0:7f00:1", False),
        ("::ffff:93.184.216.34", True),
        ("2002:5db8:d822::1", True),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("fd00:ec2::254", False),
        ("::1%lo", False),
        ("2606:4700::1111%1", False),
        ("2002:a00:1::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("not an address", False),
    ],
)
def test_public_means_the_open_internet_also_where_it_is_wrapped(address, public):
    assert is_public(address) is public


def test_a_server_told_of_hosts_fetches_what_a_chat_names(tmp_path):
    """And, by default, nothing of its own machine: a listener on loopback sees no connection."""
    import httpx2

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        settings = Settings(media_hosts=("*",), fetch_http=True)
        with running(create_app(make_assistant(), settings)) as url:
            for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
                part = {"type": "video_url", "video_url": {"url": f"http://{host}/x.mp4"}}
                body = {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}]}
                error = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=20).json()["error"]
                assert error["code"] == "media_url_not_allowed"
                assert error["param"] == "messages[0].content[0].video_url.url"
        with pytest.raises(TimeoutError):
            listener.accept()


async def test_a_chat_sees_the_video_behind_an_address(site, monkeypatch):
    import httpx2

    site.pages = {"/red.mp4": ok(mp4_of("red"))}
    monkeypatch.setattr("server.service.Fetcher", lambda settings: fetcher(site, settings=settings))
    app = create_app(make_assistant(), SETTINGS)
    part = {"type": "video_url", "video_url": {"url": "http://site.test/red.mp4"}}
    body = {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "What colour?"}]}]}
    with running(app) as url:
        async with httpx2.AsyncClient(timeout=30) as client:
            answer = (await client.post(f"{url}/v1/chat/completions", json=body)).json()
    assert answer["choices"][0]["message"]["content"] == "The video is red."
