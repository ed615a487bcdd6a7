"""The gateway under attack: what is not published, headers that lie, messages of two readings, limits to be slipped past."""

import re
import socket
import sys
from contextlib import ExitStack

import httpx
import pytest

from services.local.stack import Stack
from tests.security.wire import CLOSE, HOST, exchange, get
from tests.system import PASSWORD, resident

JSON = b"Content-Type: application/json\r\n"
POST = b"POST /auth/login HTTP/1.1\r\n" + HOST + JSON

# In seconds. Silence tells that the gateway waits for the rest of a message.
SOON = 0.5

# What every answer says to a browser, and what none says to anybody.
SAID = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
}
UNSAID = {"server", "x-powered-by", "via", "access-control-allow-origin", "access-control-allow-credentials"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
        ("GET", "/auth/docs", 200),
        ("GET", "/auth/me", 401),
        ("GET", "/auth/nothing", 404),
        ("DELETE", "/auth/login", 405),
        ("OPTIONS", "/auth/login", 405),
        ("TRACE", "/auth/me", 405),
        ("POST", "/auth/login", 403),
        ("GET", "/api/leaderboard/top", 200),
        ("GET", "/api/leaderboard/rank/me", 401),
    ],
)
async def test_every_answer_tells_browsers_what_they_may_do_with_it(
    gateway_url: str, method: str, path: str, status: int
) -> None:
    headers = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        answer = await client.request(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers.items() >= SAID.items()
    assert {part.strip() for part in answer.headers["content-security-policy"].split(";")} >= POLICY
    assert not UNSAID & answer.headers.keys()
    assert "cache-control" in answer.headers or path.endswith("/docs")


def test_so_does_the_gateways_own_refusal_of_a_body_that_is_too_large(gateway_url: str) -> None:
    answer = exchange(gateway_url, POST + CLOSE + b"Content-Length: 5000000\r\n\r\n[")
    assert answer.statuses == [413]
    for name, value in SAID.items():
        assert f"\r\n{name}: {value.lower()}".encode() in answer.head
    assert not [name for name in UNSAID if f"\r\n{name}:".encode() in answer.head]


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "//metrics",
        "/%6detrics",
        "/auth/../metrics",
        "/auth/%2e%2e/metrics",
        "/auth/.%2e/metrics",
        "/auth/..%2fmetrics",
        "/auth/%2e%2e%2fmetrics",
        "/auth/..;/metrics",
        "/auth/..\\metrics",
        "/auth/%5c..%5cmetrics",
        "/auth//../metrics",
        "/api/leaderboard/../../metrics",
        "/api/leaderboard/%2e%2e/%2e%2e/metrics",
        "http://localhost/metrics",
        "/AUTH/me",
        "/auth/me%00",
        "/auth/me%2f",
        "/auth/me%252f",
        "/Caddyfile",
        "/scripts/../Caddyfile",
        "/scripts/%2e%2e/Caddyfile",
        "/scripts/..%5cCaddyfile",
        "/scripts/",
        "/scripts/types.d.ts",
        "/scripts/app.js%00",
        "/.git/config",
        "/.env",
    ],
)
def test_no_spelling_of_a_path_reaches_what_is_not_published(gateway_url: str, path: str) -> None:
    answer = exchange(gateway_url, get(path.encode()))
    assert answer.statuses in ([400], [404])
    assert b"http_requests_total" not in answer.data
    assert b"file_server" not in answer.data


TWO_READINGS = {
    "two lengths": POST + b"Content-Length: 6\r\nContent-Length: 2\r\n\r\n[]    ",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n[]",
    "a signed length": POST + b"Content-Length: +2\r\n\r\n[]",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n[]",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a bare CR in a value": POST + b"X-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a NUL in a value": POST + b"X-A: b\0\r\nContent-Length: 2\r\n\r\n[]",
    "two hosts": b"POST /auth/login HTTP/1.1\r\nHost: one\r\nHost: two\r\n" + JSON + b"Content-Length: 2\r\n\r\n[]",
    "no host": b"POST /auth/login HTTP/1.1\r\n" + JSON + b"Content-Length: 2\r\n\r\n[]",
    "a host that is markup": b'GET /auth/docs HTTP/1.1\r\nHost: "><script>\r\n\r\n',
}


@pytest.mark.parametrize("message", TWO_READINGS.values(), ids=TWO_READINGS.keys())
def test_a_message_that_can_be_read_in_two_ways_is_refused_and_the_connection_ended(gateway_url: str, message: bytes) -> None:
    answer = exchange(gateway_url, message + get(b"/auth/health/live"))
    assert answer.statuses in ([400], [501])
    assert answer.closed


SMUGGLED = b"GET /auth/nothing HTTP/1.1\r\nX-Swallow: "


@pytest.mark.parametrize(
    "message",
    [
        POST + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(SMUGGLED)) + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n",
        POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        b"GET /auth/me HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
        POST + b"X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    ],
    ids=["length and coding", "coding and length", "coding in HTTP/1.0", "a body of a GET", "a folded line"],
)
def test_what_is_hidden_in_a_body_is_not_put_before_the_next_persons_request(gateway_url: str, message: bytes) -> None:
    first = exchange(gateway_url, message, seconds=SOON)
    assert len(first.statuses) == 1
    assert exchange(gateway_url, get(b"/auth/health/live")).statuses == [200]


@pytest.mark.parametrize("method", [b"CONNECT", b"PRI", b"get", b"G\x1bT", b"BREW"])
def test_methods_that_nothing_answers_to_are_refused(gateway_url: str, method: bytes) -> None:
    answer = exchange(gateway_url, method + b" /auth/me HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
    assert answer.statuses in ([400], [405], [501])


def test_a_header_or_a_parameter_makes_no_other_method(gateway_url: str) -> None:
    override = b"POST /auth/me?_method=GET HTTP/1.1\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n" + HOST + CLOSE
    assert exchange(gateway_url, override + b"\r\n").statuses == [405]


@pytest.mark.parametrize(
    "headers",
    [
        (
            b"Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
        ),
        b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    ],
    ids=["websocket", "h2c"],
)
def test_no_request_becomes_another_protocol(gateway_url: str, headers: bytes) -> None:
    answer = exchange(gateway_url, b"GET /auth/health/live HTTP/1.1\r\n" + HOST + headers + b"\r\n")
    assert b" 101 " not in answer.data
    assert answer.statuses == [200]


def test_a_head_that_is_too_large_is_refused(gateway_url: str) -> None:
    for size in (16_384, 70_000):
        assert exchange(gateway_url, get(b"/auth/me", b"X-A: " + b"a" * size)).statuses == [431]
    # What fits is left to the service, which says what is wrong with it.
    assert exchange(gateway_url, get(b"/auth/me", b"Authorization: Bearer " + b"a" * 8192)).statuses == [401]


async def test_a_client_cannot_say_that_it_came_by_tls_or_from_elsewhere(gateway_url: str) -> None:
    credentials = {"username": "forwarded", "password": PASSWORD}
    lies = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "192.0.2.1",
        "X-Real-Ip": "192.0.2.1",
        "X_Forwarded_For": "192.0.2.1",
        "Forwarded": "for=192.0.2.1;proto=https",
        "Connection": "X-Forwarded-For, X-Forwarded-Proto",
    }
    async with httpx.AsyncClient(base_url=gateway_url, headers=lies) as client:
        assert (await client.post("/auth/register", json=credentials)).status_code == 201
        answer = await client.post("/auth/login", json=credentials)
    assert "secure" not in re.split(r";\s*", answer.headers["set-cookie"].lower())
    assert "strict-transport-security" not in answer.headers


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bodies_that_never_end_hold_little_of_the_gateways_memory(stack: Stack) -> None:
    head = b"POST /api/leaderboard/submit HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 200001\r\n\r\n"
    before = resident(stack.gateway.pid)
    with ExitStack() as connections:
        for _ in range(400):
            connection = socket.create_connection(("127.0.0.1", stack.gateway.port), timeout=10)
            connections.enter_context(connection)
            connection.sendall(head + bytes(200_000))
        assert exchange(stack.gateway_url, get(b"/auth/health/live")).statuses == [200]
        assert resident(stack.gateway.pid) - before < 60, "they sent 76 MiB, and more is held until it is collected"
