"""Talking to the gateway in bytes: what no HTTP library would send."""

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 10.0
HOST = b"Host: localhost\r\n"
CLOSE = b"Connection: close\r\n"
_HEAD = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\r\n]*\r\n(.*?)\r\n\r\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that came back over one connection, and whether the other side ended it."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each answer in it, in order, interim ones left out."""
        return [int(found[1]) for found in _HEAD.finditer(self.data) if not found[1].startswith(b"1")]

    @property
    def head(self) -> bytes:
        """The header fields of the first answer, lower case."""
        found = _HEAD.search(self.data)
        return found[2].lower() if found else b""


def exchange(url: str, data: bytes, *, source: str | None = None, seconds: float = SECONDS) -> Answer:
    """Send ``data`` as it is and give what comes until the other side closes, or until it has been silent for ``seconds``."""
    place = urlsplit(url)
    assert place.hostname
    assert place.port
    here = (source, 0) if source else None
    with socket.create_connection((place.hostname, place.port), timeout=seconds, source_address=here) as connection:
        connection.sendall(data)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionResetError) as error:
            return Answer(received, closed=isinstance(error, ConnectionResetError))
    return Answer(received, closed=True)


def get(path: bytes, *headers: bytes) -> bytes:
    """A request for ``path``, after which the connection is to be closed."""
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + CLOSE + b"".join(header + b"\r\n" for header in headers) + b"\r\n"
