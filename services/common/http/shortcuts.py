"""Answering the hottest requests without the framework's machinery, which costs several times what the answer does."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from services.common.http import problems
from services.common.http.one_write import EXTENSION, Headers
from services.common.telemetry import REQUEST_ID, HTTPMetrics, RequestIds

JSON_TYPE = (b"content-type", b"application/json")
NO_STORE = (b"cache-control", b"no-store")


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: Headers = (JSON_TYPE, NO_STORE)


class Shortcut(NamedTuple):
    """How one request is answered. ``answer`` may raise what a route may raise, and is answered alike.

    ``route``: what metrics call it, the path of the framework's own route.
    """

    route: str
    answer: Callable[[Receive], Awaitable[Answer]]


class Shortcuts:
    """Pure ASGI middleware around all others: what ``find`` knows is answered here, all else by the framework.

    ``find`` must know only requests that are well formed in the usual spelling, so that the framework's routes stay the whole
    truth: they document, they validate, and they answer the same.
    """

    def __init__(
        self, app: ASGIApp, find: Callable[[Scope], Shortcut | None], metrics: HTTPMetrics, request_ids: RequestIds
    ) -> None:
        self.app = app
        self.find = find
        self.metrics = metrics
        self.request_ids = request_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shortcut = self.find(scope) if scope["type"] == "http" else None
        if shortcut is None:
            await self.app(scope, receive, send)
            return
        status = 500  # what the client sees when nothing was sent
        started = perf_counter()
        request_id = REQUEST_ID, self.request_ids.begin(scope)
        try:
            try:
                answer = await shortcut.answer(receive)
            except ClientDisconnect:
                return
            except Exception as error:
                expected = problems.response_to(error)
                response = problems.render_failure() if expected is None else expected
                status = response.status_code
                response.raw_headers.append(request_id)
                await response(scope, receive, send)
                if expected is None:
                    raise  # so that the server logs it
                return
            status = answer.status
            write = scope.get("extensions", {}).get(EXTENSION)
            if write is None or not write(status, answer.headers, request_id, answer.body):
                headers = [(b"content-length", b"%d" % len(answer.body)), *answer.headers, request_id]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": answer.body})
        finally:
            self.metrics.observe(scope["method"], shortcut.route, status, perf_counter() - started)


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
