"""HEAD on whatever can be read. RFC 9110, section 9.1: a server that is asked for something supports GET and HEAD of it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _NoMore(Exception):
    """The head is sent, and the body is nobody's: whoever makes it need not go on."""


class Heads:
    """Pure ASGI middleware: answers HEAD with the status and the headers that GET is answered with, and no body.

    What is inside sees a GET, and metrics count one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({"type": "http.response.body", "body": b""})
            if message.get("more_body", False):
                raise _NoMore

        try:
            await self.app({**scope, "method": "GET"}, receive, send_head)
        except _NoMore:
            return
