"""Over TLS the name is proved, and the checked address is dialled: a real server, on loopback."""

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from test_fetch import Site, moved, ok, to

from gpt4video.errors import VideoError
from server.fetch import Fetcher
from server.settings import Settings

pytest.importorskip("cryptography", reason="certificates are made with the package cryptography")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates for servers."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of a test")])
        about = self._about(self._name, self._key, NOW + DAY)
        self._certificate = about.add_extension(x509.BasicConstraints(True, None), critical=True).sign(
            self._key, hashes.SHA256()
        )

    def trusted(self) -> ssl.SSLContext:
        """What a client trusts that knows this authority alone."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, folder: Path, *names: str, until: datetime.datetime = NOW + DAY) -> ssl.SSLContext:
        """What a server shows that is called so."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site.test")])
        about = self._about(subject, key, until)
        named = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        about = about.add_extension(named, critical=False)
        certificate = about.sign(self._key, hashes.SHA256())
        pem, file = serialization.Encoding.PEM, folder / "server.pem"
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.write_bytes(secret + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _about(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime.datetime
    ) -> x509.CertificateBuilder:
        number = x509.random_serial_number()
        about = x509.CertificateBuilder(self._name, subject, key.public_key(), number, NOW - 9 * DAY, until)
        of = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return about.add_extension(of, critical=False)


@dataclass
class SecureSite(Site):
    """A web server that shows a certificate; notes the names that clients ask for before they see it."""

    asked_for: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def note(self, _: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        self.asked_for.append(name)


@contextlib.asynccontextmanager
async def serving(shown: ssl.SSLContext) -> AsyncIterator[SecureSite]:
    site = SecureSite()
    shown.sni_callback = site.note
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=shown)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for guest in site.guests:
            guest.transport.abort()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def fetcher(site: Site, trust: ssl.SSLContext | None, resolve=None) -> Fetcher:
    settings = Settings(media_hosts=("*",), fetch_seconds=30.0)
    resolve = resolve or to("127.0.0.1")
    ports = {"http": 1, "https": site.port}
    return Fetcher(settings, resolve=resolve, public=lambda address: True, ports=ports, trust=trust)


async def test_the_name_is_asked_for_and_proved_and_the_checked_address_is_dialled(authority, tmp_path):
    shown = authority.server(tmp_path, "site.test", "xn--bcher-kva.test")
    async with serving(shown) as site:
        site.pages = {"/a.mp4": ok(b"video")}
        # Nobody but the one look-up knows where these names lead, and its second answer would lead elsewhere.
        for url, name in (
            ("https://site.test/a.mp4", "site.test"),
            ("https://BÜCHER.test./a.mp4", "xn--bcher-kva.test"),
        ):
            resolve = to("127.0.0.1", "203.0.113.1")
            assert await fetcher(site, authority.trusted(), resolve).fetch(url) == b"video"
            assert resolve.asked == [name]
            assert site.asked_for[-1] == name
            assert site.hosts[-1].rstrip(".") == name


async def test_of_several_addresses_the_next_is_tried_under_the_same_name(authority, tmp_path):
    async with serving(authority.server(tmp_path, "site.test")) as site:
        site.pages = {"/": ok(b"video")}
        resolve = to("127.0.0.77 127.0.0.1")  # at the first nobody listens
        assert await fetcher(site, authority.trusted(), resolve).fetch("https://site.test/") == b"video"
        assert site.asked_for == ["site.test"]


@pytest.mark.parametrize("what", ["another name", "out of date", "not trusted", "the address"])
async def test_a_certificate_that_proves_nothing_is_one_clear_error_and_nothing_is_asked(
    authority, tmp_path, what
):
    url = "https://127.0.0.1/" if what == "the address" else "https://site.test/"
    names = ["other.test", "*.site.test"] if what == "another name" else ["site.test"]
    until = NOW - DAY if what == "out of date" else NOW + DAY
    shown = authority.server(tmp_path, *names, until=until)
    trust = None if what == "not trusted" else authority.trusted()
    async with serving(shown) as site:
        site.pages = {"/": ok(b"secret")}
        with pytest.raises(VideoError) as caught:
            await fetcher(site, trust).fetch(url)
        assert caught.value.code == "media_fetch_failed"
        assert caught.value.message == "What lies at the address could not be fetched."
        assert site.hosts == []


async def test_each_step_of_a_redirect_proves_its_own_name(authority, tmp_path):
    async with serving(authority.server(tmp_path, "site.test", "cdn.test")) as site:
        site.pages = {
            "/good": moved(f"https://cdn.test:{site.port}/there"),
            "/there": ok(b"video"),
            "/bad": moved(f"https://other.test:{site.port}/there"),
            "/plain": moved("http://site.test/there"),
        }
        assert await fetcher(site, authority.trusted()).fetch("https://site.test/good") == b"video"
        assert site.asked_for == ["site.test", "cdn.test"]
        for path, code in (("/bad", "media_fetch_failed"), ("/plain", "media_url_not_allowed")):
            with pytest.raises(VideoError) as caught:
                await fetcher(site, authority.trusted()).fetch(f"https://site.test{path}")
            assert caught.value.code == code
        assert site.hosts.count(f"cdn.test:{site.port}") == 1


async def test_what_speaks_no_tls_is_not_spoken_to_in_the_clear(authority):
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    site.pages = {"/": ok(b"secret")}
    with pytest.raises(VideoError) as caught:
        await fetcher(site, authority.trusted()).fetch("https://site.test/")
    assert caught.value.code == "media_fetch_failed" and site.hosts == []
    server.close()
