"""The paced writer: what it sends, and what it makes of the answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.generator import Load
from tests.bench.rounds import paced
from tests.bench.writer import CONNECTIONS, Writer

TEXT = "POST /submit HTTP/1.1\r\nAuthorization: Bearer {value}\r\nIdempotency-Key: {key}\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def answering(status: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that answers every request with this status, and the requests it got."""
    requests: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(4096):
            requests.append(head.decode())
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\ndone".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


async def send(writer: Writer, port: int, count: int) -> None:
    await writer.connect("127.0.0.1", port)
    await asyncio.gather(*(writer.send(time.monotonic()) for _ in range(count)))
    await writer.close()


async def test_values_are_taken_in_turn_and_no_key_twice() -> None:
    async with answering("201 Created") as (port, requests):
        writer = Writer(TEXT, ["a.b.c", "d.e.f"])
        await send(writer, port, 3 * CONNECTIONS)
    assert len(requests) == writer.sent == len(writer.taken) == 3 * CONNECTIONS
    assert writer.refused == 0
    for value in ("a.b.c", "d.e.f"):
        assert sum(f"Bearer {value}\r\n" in request for request in requests) == len(requests) / 2
    assert len({request.partition("Idempotency-Key: ")[2] for request in requests}) == len(requests)


async def test_others_are_taken_in_turn_beside_values() -> None:
    async with answering("201 Created") as (port, requests):
        await send(Writer("GET /{other} HTTP/1.1\r\nX: {value}\r\n\r\n", ["a", "b"], ["1", "2", "3"]), port, 6)
    assert len({tuple(request.split("\r\n")[:2]) for request in requests}) == 6


async def test_refusals_are_counted_and_more_is_sent_over_the_same_connection() -> None:
    async with answering("503 Service Unavailable") as (port, _):
        writer = Writer(TEXT, ["a.b.c"])
        await send(writer, port, 2 * CONNECTIONS)
    assert writer.refused == len(writer.taken) == 2 * CONNECTIONS


async def test_in_a_process_of_its_own_it_tells_its_slowest_answer(tmp_path: Path) -> None:
    load = Load("paced", "GET", "/{other}", headers={"X-Of": "{value}"}, values=["a"], others=["alps", "city"])
    async with answering("200 OK") as (port, requests):

        def write() -> dict[str, float]:
            with paced(load, f"http://127.0.0.1:{port}", 100, tmp_path) as result:
                while len(requests) < 4:
                    time.sleep(0.01)
            return result

        result = await asyncio.to_thread(write)
    assert result["slowest"] >= result["p99"] > 0
    assert {request.partition(" HTTP")[0] for request in requests} == {"GET /alps", "GET /city"}
