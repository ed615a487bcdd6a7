"""Serving an application with uvicorn, the same way everywhere."""

import asyncio
import gc
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypedDict

import uvicorn
from uvicorn.supervisors import ChangeReload

from services.common.http.one_write import OneWriteProtocol
from services.common.settings import ServiceSettings

# Young objects between two collections of them. A request makes a few hundred, hardly one of them in a cycle: Python's 700 cost
# a twentieth of what a request takes.
_YOUNG_OBJECTS = 10_000
# What the requests under way are given when the process is asked to end. Local runs and compose.yaml wait longer.
GRACE_SECONDS = 10
# Files that a process may have open, where it may say so itself: a connection is one, and often 1,024 are usual.
_FILES = 65_536
_STARTUP_FAILED = 3  # as uvicorn's own command ends then


class LifespanState(TypedDict):
    """What an application's lifespan may tell the server that runs it."""

    leave: Callable[[], None]
    """Called when the process is asked to end, before the requests under way are waited for."""


class Server(uvicorn.Server):
    """Keeps what was made by the end of the start out of garbage collections, for as long as the process lives.

    Modules, routes and schemas are some 300,000 objects that never become garbage: looking at all of them again took 60 ms
    each time, during which nobody was answered.

    Asked to end, it tells the application before it waits for the requests under way: an ASGI application hears of it only
    when none are left, so that one which waits for others could not hurry.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_tell_of_error)
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        leave: Callable[[], None] | None = self.lifespan.state.get("leave")
        if leave is not None:
            leave()
        await super().shutdown(sockets)


def _tell_of_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waited for, as the loop does by itself, but for names that were not found in time.

    uvloop goes on looking up the name of a server when the connection to it was given up. Whoever wanted that connection has
    been told of the time-out, and nobody is left to be told of the name.
    """
    if "future" not in context or not isinstance(context.get("exception"), socket.gaierror):
        loop.default_exception_handler(context)


def _have_files() -> None:
    """Let the process have as many files open as it may, up to `_FILES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # a system may have bounds of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def serve(factory: str, settings: ServiceSettings) -> None:
    """Serve the application that ``factory`` (``module:function``) makes, until SIGTERM or SIGINT.

    Requests under way are finished first.
    """
    config = uvicorn.Config(
        factory,
        factory=True,
        host=settings.listen_host,
        port=settings.listen_port,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        loop="uvloop",
        http=OneWriteProtocol,
        log_config=None,
        access_log=False,  # the gateway writes one
        server_header=False,
        # Longer than the gateway keeps idle connections: else it could send a request into one that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        reload=settings.reload,
        reload_dirs=["services"] if settings.reload else None,
    )
    _have_files()
    if settings.reload:
        # The supervisor makes the server in a child of its own.
        ChangeReload(config, Server(config).run, [config.bind_socket()]).run()
        return
    server = Server(config)
    server.run()
    if not server.started:
        sys.exit(_STARTUP_FAILED)
