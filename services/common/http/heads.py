"""HEAD on whatever can be read. RFC 9110, section 9.1: a server that is asked for something supports GET and HEAD of it."""

from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _NoMore(Exception):
    """The head is sent, and the body is nobody's: whoever makes it need not go on."""


class Heads:
    """Pure ASGI middleware: answers HEAD with the status and the headers that GET is answered with, and no body.

    What is inside sees a GET, and metrics count one. The head is sent when all that is inside has ended: whatever a long body
    would have held is free by then, and who asks next finds it so.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        start: Message | None = None

        async def take_head(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            elif message.get("more_body", False):
                raise _NoMore

        with suppress(_NoMore):
            await self.app({**scope, "method": "GET"}, receive, take_head)
        if start is not None:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
