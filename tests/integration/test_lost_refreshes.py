"""The answer to a refresh is lost on the way, after any of its bytes: whoever asks again stays signed in."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from services.local.stack import Stack
from tests.signing_in import refresh, refresh_token, sign_in
from tests.system import bearer, sign_up


class Cutting:
    """Passes one request a connection on, and of its answer the first ``bytes_passed`` bytes; then the connection ends."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.bytes_passed = 0
        self.answer_length = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        there_writer.write(await reader.readuntil(b"\r\n\r\n"))
        head = await there_reader.readuntil(b"\r\n\r\n")
        [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
        answer = head + await there_reader.readexactly(int(length.split()[1]))
        self.answer_length = len(answer)
        writer.write(answer[: self.bytes_passed])
        await writer.drain()
        for each in (writer, there_writer):
            each.close()


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[tuple[Cutting, str]]:
    """Such a proxy in front of a service, and its address."""
    there = httpx.URL(url)
    assert there.port is not None
    proxy = Cutting(there.host, there.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        yield proxy, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_answer_that_is_cut_off_after_any_of_its_bytes_signs_nobody_out(
    stack: Stack, rounds: Callable[[int, int], int]
) -> None:
    name = f"lost_{secrets.token_hex(4)}"
    async with cutting(stack.auth.url) as (proxy, url), httpx.AsyncClient(base_url=stack.auth.url) as client:
        await sign_up(client, name)
        _, token = await sign_in(client, username=name)
        cuts = lost = 0
        while proxy.bytes_passed <= proxy.answer_length:
            async with httpx.AsyncClient(base_url=url) as unlucky:
                try:
                    answered = (await refresh(unlucky, token)).status_code
                except httpx.HTTPError:
                    lost += 1
                else:
                    # A line that ends the head early, or all of the answer: there was nothing more to be lost.
                    assert answered == 200
            again = await refresh(client, token)
            assert again.status_code == 200, proxy.bytes_passed
            token = refresh_token(again)
            cuts += 1
            proxy.bytes_passed += rounds(16, 1)
        assert (await client.get("/auth/me", headers=bearer(again.json()["access_token"]))).status_code == 200
    assert lost >= cuts - 2
    assert proxy.answer_length > 500
