"""Answering the hottest requests without the framework's machinery, which costs several times what the answer does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common import problems

JSON_TYPE = (b"content-type", b"application/json")
NO_STORE = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class Route:
    """What metrics call the requests that are answered here: the path of the framework's own route."""

    path: str


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON_TYPE, NO_STORE)


class Shortcut(NamedTuple):
    """How one request is answered. ``answer`` may raise what a route may raise, and is answered alike."""

    route: Route
    answer: Callable[[Receive], Awaitable[Answer]]


class Shortcuts:
    """Pure ASGI middleware: what ``find`` knows is answered here, all else by the framework.

    ``find`` must know only requests that are well formed in the usual spelling, so that the framework's routes stay the whole
    truth: they document, they validate, and they answer the same.
    """

    def __init__(self, app: ASGIApp, find: Callable[[Scope], Shortcut | None]) -> None:
        self.app = app
        self.find = find

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shortcut = self.find(scope) if scope["type"] == "http" else None
        if shortcut is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = shortcut.route
        try:
            answer = await shortcut.answer(receive)
        except ClientDisconnect:
            return
        except Exception as error:
            response = problems.response_to(error)
            if response is None:
                raise
            await response(scope, receive, send)
            return
        length = (b"content-length", b"%d" % len(answer.body))
        await send({"type": "http.response.start", "status": answer.status, "headers": [length, *answer.headers]})
        await send({"type": "http.response.body", "body": answer.body})


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises ClientDisconnect."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        body += chunk
        if not message.get("more_body", False):
            return body
