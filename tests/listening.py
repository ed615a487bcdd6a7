"""A service that listens on a port inside the test: for what an answer in one piece does not show."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from services.common.http.one_write import OneWriteProtocol
from services.common.http.server import Server


@asynccontextmanager
async def listening(app: FastAPI, protocol: type[OneWriteProtocol] = OneWriteProtocol) -> AsyncIterator[tuple[str, Server]]:
    """The application served as it is everywhere, for a block: where, and by which server."""
    server = Server(uvicorn.Config(app, http=protocol, log_config=None, access_log=False))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve([listener]))
        try:
            while not server.started:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.should_exit = True
            await running
