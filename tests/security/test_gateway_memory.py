"""What strangers can make the gateway hold: heads on many HTTP/2 streams, answers that nobody reads, requests in flight."""

import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.local.gateway import GatewaySettings
from services.local.ports import LOOPBACK
from services.local.stack import Stack
from services.local.web import Gateway
from tests.gateways import gateway_before
from tests.security.wire import HOST, exchange, get
from tests.system import resident

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc and asks from other addresses of the loopback network"
)

GAME = "https://game.example"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS = 1, 4
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4
CONNECTIONS = 15
STREAMS = 250
# In MiB. compose.yaml gives the gateway 256 and has it collect garbage at 160 (GOMEMLIMIT).
MOST = 160


@pytest.fixture
def gateway(stack: Stack, tmp_path: Path) -> Iterator[Gateway]:
    """One of the test's own, whose memory nobody has used before."""
    with gateway_before(stack, tmp_path, settings=GatewaySettings(allowed_origins=GAME)) as own:
        yield own


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113, section 4.1."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name: bytes, value: bytes, first: int = 0x00) -> bytes:
    """A literal field (RFC 7541, section 6.2), kept in the table if ``first`` is 0x40."""
    return bytes([first, len(name)]) + name + bytes([len(value)]) + value


def head(path: bytes, first: bool, name: bytes, fields: int) -> bytes:
    """A head of so many fields, which take a byte each on the wire: all but the first refer to it."""
    pseudo = {b":method": b"GET", b":scheme": b"http", b":authority": b"localhost", b":path": path, b"accept-encoding": b"br"}
    repeated = field(name, b"a", 0x40) if first else b"\xbe"
    return b"".join(field(*each) for each in pseudo.items()) + repeated + b"\xbe" * (fields - 1)


@pytest.mark.parametrize(("name", "fields"), [(b"x", 340), (b"cookie", 300)], ids=["fields", "cookies"])
def test_fifteen_connections_of_many_streams_that_read_nothing_leave_the_gateway_within_its_memory(
    gateway: Gateway, name: bytes, fields: int
) -> None:
    before = resident(gateway.pid)
    with ExitStack() as connections:
        opened = [
            connections.enter_context(socket.create_connection((LOOPBACK, gateway.port), timeout=10))
            for _ in range(CONNECTIONS)
        ]
        for connection in opened:
            # No answer may send a byte of its body.
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)))
        for number in range(STREAMS):
            for connection in opened:
                block = head(b"/auth/docs", number == 0, name, fields)
                connection.sendall(frame(HEADERS, END_STREAM | END_HEADERS, 1 + 2 * number, block))
        time.sleep(1)  # what is sent is read meanwhile: nothing tells when that has ended
        assert exchange(gateway.url, get(b"/auth/health/live")).statuses == [200]
        grown = resident(gateway.pid, "VmHWM") - before
        assert grown < MOST - 60, f"{grown} MiB more than at its start"


def test_an_address_has_500_requests_in_flight_on_whatever_routes_and_others_go_on(gateway: Gateway) -> None:
    paths = (b"/", b"/api/leaderboard/submit", b"/auth/logout", b"/auth/refresh")
    with ExitStack() as connections:
        for number in range(500):
            connection = socket.create_connection((LOOPBACK, gateway.port), timeout=10, source_address=("127.0.3.1", 0))
            connections.enter_context(connection)
            connection.sendall(b"POST " + paths[number % 4] + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\n\r\n")
        time.sleep(1)  # see above
        for path in paths:
            refused = exchange(gateway.url, get(path, b"Origin: " + GAME.encode()), source="127.0.3.1")
            assert refused.statuses == [429]
            assert b"access-control-allow-origin: " + GAME.encode() in refused.head, "its page may read that too"
        assert exchange(gateway.url, get(b"/auth/health/live"), source="127.0.3.2").statuses == [200]
    deadline = time.monotonic() + 10
    while exchange(gateway.url, get(b"/"), source="127.0.3.1").statuses == [429]:
        assert time.monotonic() < deadline, "what has ended is still counted"
