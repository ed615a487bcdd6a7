"""The tests' own client of event streams: it reads them however they are cut, and comes back by the id that it had last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.watching import Watcher, watching

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
STATE = b'retry: 20\n\n: hello\n\nevent: top\nid: a1\ndata: {"top": []}\n\nevent: me\nid: a2\ndata: {"rank":\ndata:  1}\n\n'
END = b"0\r\n\r\n"
FULL = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nfull"


class Served:
    """What connections were sent by the client; each is answered with the next of some answers, the last ones with the last."""

    def __init__(self, *answers: bytes, piece: int = 1000) -> None:
        self._answers = [*answers]
        self._piece = piece
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        for start in range(0, len(answer), self._piece):
            writer.write(answer[start : start + self._piece])
            await writer.drain()
            await asyncio.sleep(0)
        if not answer.endswith(END):
            await reader.read()  # until the client goes away
        writer.close()


@asynccontextmanager
async def served(*answers: bytes, piece: int = 1000) -> AsyncIterator[Served]:
    made = Served(*answers, piece=piece)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


@pytest.mark.parametrize("piece", [1, 3, 1000])
async def test_events_are_read_however_the_answer_is_cut(piece: int) -> None:
    async with served(HEAD + chunk(STATE[:40]) + chunk(STATE[40:]), piece=piece) as server:
        watcher = Watcher([server.url], "/live")
        async with watching(watcher):
            await watcher.until(lambda each: "me" in each.last)
            assert watcher.url == server.url
    assert (watcher.read("top"), watcher.read("me"), watcher.read("period")) == ({"top": []}, {"rank": 1}, None)
    assert [event.event_id for event in watcher.last.values()] == ["a1", "a2"]
    assert (watcher.event_id, watcher.comments, watcher.retry_seconds) == ("a2", 1, 0.02)


async def test_it_comes_back_by_the_last_id_after_the_time_that_it_was_told() -> None:
    async with served(HEAD + chunk(STATE) + END, HEAD) as server:
        watcher = Watcher([server.url], "/live", {"Authorization": "Bearer one"})
        async with watching(watcher):
            await watcher.until(lambda each: each.streams == 2)
    first, second = server.asked
    assert "Last-Event-ID" not in first
    assert "Last-Event-ID: a2\r\n" in second
    assert "Authorization: Bearer one\r\n" in second
    assert watcher.ended == 1


async def test_it_goes_on_with_the_next_process_when_one_is_full_and_gives_up_when_it_is_refused() -> None:
    refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    async with served(FULL) as full, served(refused) as other:
        watcher = Watcher([full.url, other.url], "/live", pause=0)
        async with watching(watcher):
            await watcher.until(lambda each: len(each.refusals) == 2)
    assert [(each.status, each.body) for each in watcher.refusals] == [(429, b"full"), (404, b"")]
    assert (len(full.asked), len(other.asked), watcher.streams) == (1, 1, 0)
