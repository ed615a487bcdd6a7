"""Who stops reading an answer is cut off; who reads slowly is not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from services.common.http.one_write import OneWriteProtocol
from tests.system import eventually

PIECE = bytes(64 * 1024)
PIECES = 400
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Impatient(OneWriteProtocol):
    stalled_seconds = 0.4


class Application:
    """Answers with more than any buffer holds: in pieces, or at once."""

    def __init__(self) -> None:
        self.in_pieces = True
        self.began = asyncio.Event()
        self.left = asyncio.Event()
        self.finished = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.set()
        length = b"%d" % (len(PIECE) * PIECES)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        if self.in_pieces:
            for number in range(PIECES):
                await send({"type": "http.response.body", "body": PIECE, "more_body": number < PIECES - 1})
        else:
            await send({"type": "http.response.body", "body": PIECE * PIECES})
        self.finished.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


@asynccontextmanager
async def serving(application: Callable[..., Awaitable[None]]) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    config = uvicorn.Config(application, http=Impatient, port=0, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1], server
        server.should_exit = True
        server.force_exit = True
        await running


def connect(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", port))
    connection.setblocking(False)
    return connection


async def receive_all(connection: socket.socket) -> int:
    """Read until the other side ends it, in whatever way. Gives how many bytes came."""
    received = 0
    with suppress(ConnectionResetError):
        while data := await asyncio.get_running_loop().sock_recv(connection, 1_000_000):
            received += len(data)
    return received


@pytest.mark.parametrize("in_pieces", [True, False], ids=["in pieces", "at once"])
async def test_a_reader_that_stalls_is_cut_off_and_holds_nothing(in_pieces: bool) -> None:
    application = Application()
    application.in_pieces = in_pieces
    async with serving(application) as (port, server):
        with connect(port) as connection:
            await asyncio.get_running_loop().sock_sendall(connection, GET)
            await application.began.wait()

            async def is_cut() -> bool:
                return not server.server_state.connections

            await eventually(is_cut, 10)
            await asyncio.wait_for(application.left.wait(), 5)
            # What waited is gone, and the answer has no end.
            assert await receive_all(connection) < len(PIECE) * PIECES / 2


async def test_a_reader_that_is_slow_is_waited_for() -> None:
    application = Application()
    async with serving(application) as (port, server):
        with connect(port) as connection:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, GET)
            received = 0
            # Slower than all of it could be sent in the time that a stalled reader is given.
            for _ in range(12):
                received += len(await loop.sock_recv(connection, 100_000))
                await asyncio.sleep(0.1)
                assert server.server_state.connections
            async with asyncio.timeout(30):
                while received < len(PIECE) * PIECES:
                    data = await loop.sock_recv(connection, 10_000_000)
                    assert data
                    received += len(data)
            assert application.finished.is_set()


class Endless:
    """Answers a request for `/` at once, and any other for as long as its client stays."""

    def __init__(self) -> None:
        self.began = 0
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] != "/":
            leaving = asyncio.create_task(self._leave(receive))
            while not leaving.done():
                await send({"type": "http.response.body", "body": PIECE, "more_body": True})
                await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b""})

    async def _leave(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left += 1


@pytest.mark.parametrize("answered_before", [0, 1, 3])
@pytest.mark.parametrize("waiting", [0, 1, 3])
@pytest.mark.parametrize("stalls", [False, True], ids=["leaves", "stalls"])
async def test_the_request_that_is_being_answered_is_told_whatever_was_sent_after_it(
    answered_before: int, waiting: int, stalls: bool
) -> None:
    application = Endless()
    async with serving(application) as (port, server):
        with connect(port) as connection:
            endless = GET.replace(b"/ ", b"/endless ", 1)
            await asyncio.get_running_loop().sock_sendall(connection, GET * answered_before + endless + GET * waiting)

            async def is_begun() -> bool:
                return application.began == answered_before + 1

            await eventually(is_begun, 5)
            if not stalls:
                connection.close()

            async def is_told() -> bool:
                return application.left == 1 and not server.server_state.connections

            await eventually(is_told, 10)
            # What waited behind it was not begun for nobody.
            assert application.began == answered_before + 1
