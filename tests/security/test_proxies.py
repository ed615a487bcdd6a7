"""Proxies in front of the gateway: whose word counts about who asks, at the gateway and in the services behind it."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from services.local.gateway import GatewaySettings
from services.local.ports import LOOPBACK
from services.local.stack import Stack
from services.local.web import Service
from tests.gateways import gateway_before
from tests.security.wire import HOST, exchange, get
from tests.system import PASSWORD, bearer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks from other addresses of the loopback network")

NEAR, FAR = "127.0.6.9", "203.0.113.5"
TRUSTED = GatewaySettings(trusted_proxies="127.0.6.8/31, 203.0.113.0/24")
CLIENT = "198.51.100.7"


@dataclass(frozen=True)
class Urls:
    """Gateways behind one proxy and behind two."""

    one: str
    two: str


@pytest.fixture(scope="module")
def urls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Urls]:
    folder = tmp_path_factory.mktemp("proxies")
    auth = Service(
        "auth-behind-proxies",
        module="services.auth",
        ready_path="/auth/health/ready",
        log=folder / "auth.log",
        environment={**stack.auth.environment(), "FORWARDED_ALLOW_IPS": TRUSTED.believed(LOOPBACK)},
    )
    auth.start()
    twice = GatewaySettings(trusted_proxies=TRUSTED.trusted_proxies, proxies=2)
    try:
        with (
            gateway_before(stack, folder / "one", settings=TRUSTED, auth_url=auth.url) as one,
            gateway_before(stack, folder / "two", settings=twice, auth_url=auth.url) as two,
        ):
            yield Urls(one.url, two.url)
    finally:
        auth.stop()


async def signed_in_from(url: str, source: str, name: str, told: str) -> tuple[str, bool]:
    """The address that a session is told to be from, and whether the client is taken to have come by TLS."""
    headers = {"X-Forwarded-For": told, "X-Forwarded-Proto": "https"}
    transport = httpx.AsyncHTTPTransport(local_address=source)
    async with httpx.AsyncClient(base_url=url, headers=headers, transport=transport) as client:
        credentials = {"username": name, "password": PASSWORD}
        assert (await client.post("/auth/register", json=credentials)).status_code == 201
        login = await client.post("/auth/login", json=credentials)
        [session] = (await client.get("/auth/sessions", headers=bearer(login.json()["access_token"]))).json()["sessions"]
    return session["address"], "strict-transport-security" in login.headers


async def test_what_a_trusted_proxy_says_of_a_client_counts(urls: Urls) -> None:
    assert await signed_in_from(urls.one, NEAR, "proxied1", CLIENT) == (CLIENT, True)


async def test_what_anybody_else_says_does_not(urls: Urls) -> None:
    assert await signed_in_from(urls.one, "127.0.6.7", "proxied2", CLIENT) == ("127.0.6.7", False)


async def test_what_a_client_has_told_its_proxy_does_not(urls: Urls) -> None:
    assert await signed_in_from(urls.one, NEAR, "proxied3", f"192.0.2.1, {CLIENT}") == (CLIENT, True)


async def test_behind_two_proxies_the_farther_one_tells_the_client(urls: Urls) -> None:
    assert await signed_in_from(urls.two, NEAR, "proxied4", f"192.0.2.1, {CLIENT}, {FAR}") == (CLIENT, True)


def refused(url: str, source: str, addresses: list[str]) -> int:
    """How many guesses are refused for their number, when each is said to be from another address."""
    head = b"POST /auth/login HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" + HOST
    guesses = [head + f"X-Forwarded-For: {address}\r\n\r\n[]".encode() for address in addresses]
    statuses = Counter(exchange(url, b"".join(guesses) + get(b"/"), source=source).statuses)
    assert statuses.total() == len(guesses) + 1
    return statuses[429]


def test_limits_count_clients_where_a_trusted_proxy_tells_them_and_nowhere_else(urls: Urls) -> None:
    many = [f"198.18.0.{number}" for number in range(160)]
    assert refused(urls.one, NEAR, many) == 0
    assert refused(urls.one, "127.0.6.7", many) > 20
    assert refused(urls.two, NEAR, [f"{address}, {FAR}" for address in many]) == 0
    assert refused(urls.two, NEAR, [f"{address}, 198.18.1.1, {FAR}" for address in many]) > 20
