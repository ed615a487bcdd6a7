"""Answers that are made while they are sent."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from services.common.http.one_write import CUT
from services.common.http.streams import JSONStream, LongAnswer, LongAnswers, Sink


async def test_what_the_pieces_hold_is_let_go_before_the_answer_is_over_when_the_client_leaves() -> None:
    held = ["a lease"]
    left = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"piece"
        finally:
            held.clear()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            left.set()
            await asyncio.Event().wait()  # nobody reads any more

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    source = pieces()  # kept, so that no garbage collector closes it instead
    answer = await JSONStream.begin(source, {})
    await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    assert not held
    await source.aclose()


async def test_what_is_written_goes_at_once_or_not_at_all() -> None:
    sent: list[Any] = []
    writable = asyncio.Event()
    cut: list[bool] = []

    async def send(message: Any) -> None:
        await writable.wait()
        sent.append((message["body"], message["more_body"]))

    sink = Sink({"type": "http", "extensions": {CUT: lambda: cut.append(True)}}, send)
    assert not sink.write(b"one")
    writable.set()
    assert sink.write(b"two")
    assert sink.close(b"three")
    assert sent == [(b"two", True), (b"three", False)]
    sink.abort()
    assert cut == [True]


async def test_the_body_of_a_long_answer_is_sent_when_all_that_is_inside_has_ended() -> None:
    done: list[str] = []

    async def rest(_scope: Any, _receive: Any, send: Any) -> None:
        done.append("body")
        await send({"type": "http.response.body", "body": b"x"})

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await LongAnswer(rest, {}, "text/event-stream")(scope, receive, send)
        done.append("inside")

    async def send(message: Any) -> None:
        done.append(message["type"])

    async def receive() -> Any:
        raise AssertionError("nobody reads")

    await LongAnswers(inside)({"type": "http"}, receive, send)
    assert done == ["http.response.start", "inside", "body", "http.response.body"]
