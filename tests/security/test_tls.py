"""Served over TLS: the gateway with a certificate of its own, or behind a proxy that has one, before the stack's services."""

import ssl
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPSConnection

import httpx
import pytest
import yaml

from services.local.gateway import GatewaySettings
from services.local.ports import LOOPBACK
from services.local.stack import Stack
from services.local.web import PUBLISHED_ENTRY_POINT, Gateway
from tests.gateways import answers, gateway_before
from tests.security.wire import HOST, exchange, get
from tests.system import PASSWORD, bearer


def trusting() -> ssl.SSLContext:
    """A client that takes any certificate: the gateway makes itself one where it is given none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TlsGateway(Gateway):
    """The gateway as it is configured, but for its entry point, which speaks TLS."""

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    def prepare(self) -> None:
        super().prepare()
        configuration = yaml.safe_load(self.configuration_file.read_text(encoding="utf-8"))
        configuration["entryPoints"][PUBLISHED_ENTRY_POINT]["http"]["tls"] = {}
        self.configuration_file.write_text(yaml.safe_dump(configuration), encoding="utf-8")

    def is_ready(self) -> bool:
        return answers(self.url + "/", trusting())


@pytest.fixture(scope="module")
def tls_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway_before(stack, tmp_path_factory.mktemp("tls"), TlsGateway) as gateway:
        yield gateway.url


@pytest.fixture(scope="module")
def proxied_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a gateway that is told of the one proxy in front of it: this test."""
    settings = GatewaySettings(trusted_proxies=LOOPBACK)
    with gateway_before(stack, tmp_path_factory.mktemp("proxied"), settings=settings) as gateway:
        yield gateway.url


async def test_browsers_are_told_to_stay_with_tls_for_a_year_hosts_below_included(tls_url: str, gateway_url: str) -> None:
    async with httpx.AsyncClient(verify=trusting()) as client:
        for path in ("/", "/nothing", "/auth/me", "/api/leaderboard/top"):
            answer = await client.get(tls_url + path)
            assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
            # A browser that heard it without TLS would have to ignore it.
            assert "strict-transport-security" not in (await client.get(gateway_url + path)).headers


async def test_the_cookie_is_for_tls_alone_and_its_name_says_so(tls_url: str) -> None:
    credentials = {"username": "secure", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=tls_url, verify=trusting()) as client:
        assert (await client.post("/auth/register", json=credentials)).status_code == 201
        login = await client.post("/auth/login", json=credentials)
        name, *attributes = login.headers["set-cookie"].split("; ")
        assert name.startswith("__Secure-refresh_token=")
        assert {attribute.lower() for attribute in attributes} >= {"secure", "httponly", "samesite=strict", "path=/auth"}
        assert not [attribute for attribute in attributes if attribute.lower().startswith("domain")]
        assert (await client.post("/auth/refresh")).status_code == 200
        assert (await client.post("/auth/logout")).status_code == 204
        assert (await client.post("/auth/refresh")).status_code == 401


def test_no_protocol_older_than_tls_1_2_is_spoken(tls_url: str) -> None:
    url = httpx.URL(tls_url)
    old = trusting()
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    connection = HTTPSConnection(url.host, url.port, timeout=5, context=old)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):  # the gateway's word, not this client's inability
        connection.connect()
    connection.close()


async def test_behind_a_proxy_that_speaks_tls_all_is_as_over_tls_and_addresses_are_what_it_tells(proxied_url: str) -> None:
    credentials = {"username": "proxied", "password": PASSWORD}
    host = httpx.URL(proxied_url).netloc.decode()
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7", "Origin": f"https://{host}"}
    async with httpx.AsyncClient(base_url=proxied_url, headers=told) as client:
        assert (await client.post("/auth/register", json=credentials)).status_code == 201
        login = await client.post("/auth/login", json=credentials)
        assert login.headers["set-cookie"].startswith("__Secure-refresh_token=")
        assert login.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        own = bearer(login.json()["access_token"])
        [session] = (await client.get("/auth/sessions", headers=own)).json()["sessions"]
        assert session["address"] == "192.0.2.7"


def test_behind_a_proxy_each_client_has_a_limit_of_its_own_which_no_header_lifts(proxied_url: str) -> None:
    def guess(client: str) -> bytes:
        told = f"X-Forwarded-For: {client}\r\n".encode()
        head = b"POST /auth/login HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        return head + HOST + told + b"\r\n[]"

    many = b"".join(guess(f"198.51.100.{number}") for number in range(160))
    assert Counter(exchange(proxied_url, many + get(b"/")).statuses) == {422: 160, 200: 1}
    # What the client itself says comes first, what the proxy adds comes last.
    one = b"".join(guess(f"198.51.100.{number}, 203.0.113.1") for number in range(160))
    assert Counter(exchange(proxied_url, one + get(b"/")).statuses)[429] > 20
