"""Fetching posted addresses without becoming anybody's way into the network behind the server.

    https://media.example.org/a.mp4
      scheme, port, no user, a name that is one      is it an address to fetch from at all?
      media_hosts                                    does the operator want this host?
      resolve once                                   every answer must be public, or none is dialled
      dial what was checked                          with the name in Host and SNI; no second look-up
      3xx                                            the same from the top, three times at most
      body                                           as it is, counted as it comes, against clock and cap

Off unless the operator names hosts. What goes wrong within is told in one sentence that is always the same:
who asks learns nothing of what is there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any

import httpcore
import httpx

from gpt4video.errors import VideoError
from gpt4video.stages import stage
from server.settings import Settings

PORTS = {"http": 80, "https": 443}
MOST_REDIRECTS = 3
HEADERS = {"User-Agent": "gpt4video", "Accept": "video/*, image/*", "Accept-Encoding": "identity"}
"""All that is sent; no cookies, and nothing of who asked."""

_CLOSED_4 = [
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # behind which each machine of Azure finds its own metadata
    )
]
"""IPv4 numbers that are not of the open internet: IANA's registry of special purposes (RFC 6890), multicast
and one more. Written out, since `ipaddress` knew fewer of them in older releases of Python."""
_OPEN_6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_6 = [ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20")]
"""IPv6 has given out one eighth of its numbers; the first of these holds Teredo and ORCHID, the others are
for documentation."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, asked for once."""


class Fetcher:
    """Fetches posted addresses within the operator's bounds.

    The last three arguments are for tests, which have nothing public to fetch from.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        resolve: Resolve | None = None,
        public: Callable[[str], bool] | None = None,
        ports: dict[str, int] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._ports = ports or PORTS
        self._trust = trust
        self._dial = _Dial(resolve or Resolver(settings.max_fetches), public or is_public)
        self._at_once = asyncio.Semaphore(settings.max_fetches)

    def check(self, url: str) -> httpx.URL:
        """The address, understood. Raises `VideoError` (`media_url_not_allowed`) for one not to be fetched.

        Asks nobody: names are resolved when they are dialled.
        """
        if not self._settings.media_hosts:
            raise _not_allowed("addresses are not fetched here; send a data URL, or upload to /v1/files.")
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise _not_allowed("this is not an address.") from None
        schemes = ("http", "https") if self._settings.fetch_http else ("https",)
        if parsed.scheme not in schemes:
            raise _not_allowed(f"only {' and '.join(schemes)} addresses are fetched.")
        if parsed.userinfo:
            raise _not_allowed("an address with a user's name in it is not fetched.")
        if parsed.port not in (None, self._ports[parsed.scheme]):
            raise _not_allowed("only the usual port is fetched from.")
        host = _host(parsed)
        if not host or _is_odd_number(host) or not _listed(host, self._settings.media_hosts):
            raise _not_allowed("this host is not one that is fetched from.")
        return parsed.copy_with(host=host, fragment=None)

    async def fetch(self, url: str) -> bytes:
        """The bytes at an address.

        Raises `VideoError`: `media_url_not_allowed`, `media_fetch_failed`, `video_too_large`.
        """
        with stage("fetch"):
            try:
                async with asyncio.timeout(self._settings.fetch_seconds), self._at_once:
                    return await self._follow(self.check(url))
            except (TimeoutError, httpcore.TimeoutException):
                raise _failed("took too long to fetch.") from None
            except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ssl.SSLError):
                raise _failed("could not be fetched.") from None

    async def _follow(self, url: httpx.URL) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            found = await self._get(url)
            if isinstance(found, bytes):
                return found
            url = found
        raise _failed("leads on and on.")

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        """The body at an address, or where it leads on to."""
        most = self._settings.max_video_bytes
        idle, connect = self._settings.fetch_idle_seconds, self._settings.fetch_connect_seconds
        times = {"connect": connect, "read": idle, "write": idle, "pool": connect}
        port = self._ports[url.scheme]
        origin = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=port, target=url.raw_path or b"/"
        )
        headers = [(b"Host", url.netloc), *((k.encode(), v.encode()) for k, v in HEADERS.items())]
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._trust, network_backend=self._dial) as pool,
            pool.stream("GET", origin, headers=headers, extensions={"timeout": times}) as answer,
        ):
            told = {name.lower(): value for name, value in answer.headers}
            if answer.status in (301, 302, 303, 307, 308) and b"location" in told:
                return self.check(_joined(url, told[b"location"]))
            if answer.status != 200 or told.get(b"content-encoding", b"identity") != b"identity":
                raise _failed("could not be fetched.")
            length = told.get(b"content-length", b"")
            if length.isdigit() and int(length) > most:
                raise _too_large(most)
            body = bytearray()
            async with aclosing(answer.aiter_stream()) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    body += piece
                    if len(body) > most:
                        raise _too_large(most)
            return bytes(body)


class _Dial(httpcore.AsyncNetworkBackend):
    """Opens connections to hosts by the addresses that were checked, and to nothing else."""

    def __init__(self, resolve: Resolve, public: Callable[[str], bool]) -> None:
        self._resolve, self._public = resolve, public
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one; the name is looked up here, once."""
        try:
            addresses = [host] if _is_address(host) else await self._resolve(host, port)
        except (OSError, UnicodeError):
            addresses = []
        if not addresses or not all(self._public(address) for address in addresses):
            # The same words whether there is no such name or it leads inside.
            raise _not_allowed("this host does not lead to a public address.")
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout=timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout=timeout)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise _not_allowed("only hosts are fetched from.")

    async def sleep(self, seconds: float) -> None:
        """Wait, between tries."""
        await asyncio.sleep(seconds)


class Resolver:
    """The system's, in threads of its own: a name server that does not answer holds up nobody else."""

    def __init__(self, at_once: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(where[0]) for *_, where in found]


def is_public(address: str) -> bool:
    """Whether this number is one of the open internet; where it wraps another one, whether that is."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _CLOSED_4)
    inner = ip.ipv4_mapped or ip.sixtofour
    if ip in _NAT64:
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(str(inner))
    return ip.scope_id is None and ip in _OPEN_6 and not any(ip in network for network in _CLOSED_6)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_odd_number(host: str) -> bool:
    """Whether resolvers may take this for a number that it does not look like: 2130706433, 0x7f.1, 0177.1."""
    last = host.rsplit(".", 1)[-1].lower()
    return (last.isdigit() or last.startswith("0x")) and not _is_address(host)


def _host(url: httpx.URL) -> str:
    """The host in ASCII and small letters, without the dot that may end it."""
    return url.raw_host.decode("ascii").lower().rstrip(".")


def _listed(host: str, hosts: Sequence[str]) -> bool:
    """Whether a host is one of these: `example.org`, `*.example.org` for all below it, `*` for all."""
    for listed in hosts:
        listed = listed.lower().rstrip(".")
        if listed in ("*", host) or (listed.startswith("*.") and host.endswith(listed[1:])):
            return True
    return False


def _joined(url: httpx.URL, location: bytes) -> str:
    try:
        return str(url.join(location.decode("ascii")))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise _failed("leads nowhere.") from None


def _not_allowed(why: str) -> VideoError:
    return VideoError(f"The address cannot be used: {why}", code="media_url_not_allowed")


def _failed(how: str) -> VideoError:
    return VideoError(f"What lies at the address {how}", code="media_fetch_failed")


def _too_large(most: int) -> VideoError:
    message = f"What lies at the address has more than the {most / 2**20:g} MiB that fit."
    return VideoError(message, code="video_too_large")
