"""What the server itself could do at most: a bare ASGI application, without a framework, served as our services are.

Whatever is asked, reads are answered with a ready page of ten, and writes with what a submission is answered with.
"""

from starlette.types import Receive, Scope, Send

from services.common.http.server import serve
from services.common.settings import ServiceSettings, load_settings
from tests.bench.answers import DONE, PAGE


class Bare:
    """The application. Of a request it looks at the method alone, and reads a body to its end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        written = scope["method"] == "POST"
        while written and (await receive()).get("more_body"):
            pass
        status, body = (201, DONE) if written else (200, PAGE)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """Nothing is opened, and nothing closed."""
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


if __name__ == "__main__":
    serve("tests.bench.bare:Bare", load_settings(ServiceSettings))
