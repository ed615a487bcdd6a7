"""What the server writes to the network: an answer given whole is one packet, and every other one comes as uvicorn sends it."""

import asyncio
import socket
import struct
import sys
import threading
from collections.abc import Iterator

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from services.common.http.one_write import EXTENSION, OneWriteProtocol
from services.common.http.web import ConnectionRecycling

# Of Linux's struct tcp_info: how many segments with data came in (since 4.6).
_DATA_SEGMENTS_IN = 152
PLAIN_TEXT = ((b"content-type", b"text/plain"),)

continued = threading.Event()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    asked_last = scope["query_string"] == b"last"
    await (ConnectionRecycling(answer, 1) if asked_last else answer)(scope, receive, send)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"]
    write = scope.get("extensions", {}).get(EXTENSION)
    if scope["method"] == "POST":
        await receive()
    if path.startswith("/whole") and write and write(200, PLAIN_TEXT, (b"x-own", path[6:].encode()), b"small"):
        assert not write(200, (), (b"x-own", b"again"), b"twice")
        return
    length = {"/small": b"5", "/large": b"3000000", "/slow": b"10", "/broken": b"5"}.get(path, b"0")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    if path == "/broken":
        raise RuntimeError("after the head")
    if path == "/slow":
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await wait_for_the_test()
    body = {"/small": b"small", "/large": b"x" * 3_000_000, "/slow": b"later"}.get(path, b"")
    if path == "/later":
        await wait_for_the_test()
    await send({"type": "http.response.body", "body": body})


async def wait_for_the_test() -> None:
    await asyncio.to_thread(continued.wait, 60)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=OneWriteProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: uvloop.run(server.serve([listening])))
    thread.start()
    yield listening.getsockname()
    server.should_exit = True
    thread.join()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    continued.clear()
    with socket.create_connection(address, timeout=5) as connection:
        yield connection
    continued.set()


def ask(connection: socket.socket, path: str, method: str = "GET") -> None:
    connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())


def read_until(connection: socket.socket, end: bytes) -> bytes:
    read = b""
    while not read.endswith(end):
        chunk = connection.recv(1 << 20)
        assert chunk, read
        read += chunk
    return read


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many segments came")
def test_an_answer_that_is_given_whole_is_one_packet_and_like_any_other(connection: socket.socket) -> None:
    for number in range(1, 4):
        ask(connection, f"/whole{number}")
        head = read_until(connection, b"\r\n\r\nsmall").split(b"\r\n")
        assert head[0] == b"HTTP/1.1 200 OK"
        assert sorted(line.partition(b": ")[0] for line in head[1:-2]) == [
            b"content-length",
            b"content-type",
            b"date",
            b"server",
            b"x-own",
        ]
        assert b"x-own: %d" % number in head
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        assert struct.unpack_from("I", info, _DATA_SEGMENTS_IN) == (number,)


def test_answers_given_whole_come_in_the_order_of_their_requests(connection: socket.socket) -> None:
    requests = [f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n" for path in ("/whole1", "/later", "/whole2", "/small", "/whole3")]
    connection.sendall("".join(requests).encode())
    continued.set()
    answers = read_until(connection, b"x-own: 3\r\n\r\nsmall")
    assert answers.count(b"HTTP/1.1 200 OK") == 5
    assert answers.index(b"x-own: 1") < answers.index(b"content-length: 0") < answers.index(b"x-own: 2")


def test_an_answer_given_whole_comes_after_the_leave_to_go_on(connection: socket.socket) -> None:
    head = "POST /whole1 HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    connection.sendall(f"{head}ab".encode())  # without waiting for it
    assert read_until(connection, b"small").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "request_line",
    ["HEAD /whole1 HTTP/1.1", "GET /whole1 HTTP/1.0", "GET /whole1 HTTP/1.1\r\nconnection: close", "GET /whole1?last HTTP/1.1"],
)
def test_what_is_not_an_ordinary_answer_is_not_given_whole(connection: socket.socket, request_line: str) -> None:
    connection.sendall(f"{request_line}\r\nhost: test\r\n\r\n".encode())
    head = read_until(connection, b"\r\n\r\n")
    assert b"x-own" not in head
    assert (b"connection: close" in head) == (not request_line.startswith("HEAD"))


@pytest.mark.parametrize(("method", "path"), [("GET", "/empty"), ("HEAD", "/small")])
def test_an_answer_without_a_body_is_sent(connection: socket.socket, method: str, path: str) -> None:
    ask(connection, path, method)
    assert read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_large_body_comes_whole(connection: socket.socket) -> None:
    ask(connection, "/large")
    head, _, body = read_until(connection, b"x" * 10).partition(b"\r\n\r\n")
    while len(body) < 3_000_000:
        body += connection.recv(1 << 20)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"x" * 3_000_000


def test_a_head_does_not_wait_for_a_body_that_takes_long(connection: socket.socket) -> None:
    ask(connection, "/later")
    assert read_until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_is_streamed_is_sent_as_it_comes(connection: socket.socket) -> None:
    ask(connection, "/slow")
    read_until(connection, b"\r\n\r\nfirst")
    continued.set()
    assert read_until(connection, b"later") == b"later"


def test_a_head_is_sent_before_a_broken_answer_is_closed(connection: socket.socket) -> None:
    ask(connection, "/broken")
    read = b""
    while chunk := connection.recv(4096):
        read += chunk
    assert read.startswith(b"HTTP/1.1 200 OK\r\n")
