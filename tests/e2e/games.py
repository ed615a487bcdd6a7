"""A game's page on a server of its own, which a browser takes for another origin."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Game(BaseHTTPRequestHandler):
    """Serves a page with nothing in it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A game</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving_game() -> Iterator[str]:
    """Where it is served: on another port, and another site, than the gateway's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Game) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()
