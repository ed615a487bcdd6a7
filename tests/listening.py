"""A service that listens on a port inside the test, for what an answer in one piece does not show; and what streams tell."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import uvicorn
from fastapi import FastAPI

from services.common.http.one_write import OneWriteProtocol
from services.common.http.server import Server
from tests.watching import Event, Watcher, live_path


class Listens(NamedTuple):
    """A service that listens."""

    url: str
    client: httpx.AsyncClient
    app: FastAPI
    server: Server

    def watcher(self, board: str, headers: dict[str, str] | None = None, **asked: Any) -> Watcher:
        """One who will watch a board there, of which more may be ``asked``."""
        options = {name: asked.pop(name) for name in ("hear", "pause") if name in asked}
        return Watcher([self.url], live_path(board, **asked), headers, **options)


class Heard(list[tuple[str, Any]]):
    """What a watcher is told, in order."""

    def __call__(self, _: Watcher, event: Event) -> None:
        self.append((event.kind, event.read()))

    def of(self, kind: str) -> list[Any]:
        """What the events of a kind said."""
        return [data for name, data in self if name == kind]


@asynccontextmanager
async def listening(app: FastAPI, protocol: type[OneWriteProtocol] = OneWriteProtocol) -> AsyncIterator[Listens]:
    """The application served as it is everywhere, for a block."""
    server = Server(uvicorn.Config(app, http=protocol, log_config=None, access_log=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            while not server.started:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=url) as client:
                yield Listens(url, client, app, server)
        finally:
            server.should_exit = True
            await running
