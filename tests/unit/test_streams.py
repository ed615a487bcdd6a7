"""Answers that are made while they are sent."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from services.common.http.streams import JSONStream


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
