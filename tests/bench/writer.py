"""A paced background writer, in a process of its own: ``python -m tests.bench.writer <url> <files> <rate> [answers]``.

Sends the request ``rate`` times a second, at even times whatever the answers take, until SIGTERM; then tells on standard
output how that went. The files are those of the load generator, which knows no pace: the request, its values, its others.
What was answered, and when, is kept in a file only where one is named.
"""

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from itertools import count, cycle
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from services.local.terminal import say

CONNECTIONS = 16
STARTED = "started"
_MARK = re.compile(r"\{(value|other|item|key)\}")

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Writer:
    """The connections, and what came of the requests."""

    def __init__(self, text: str, values: Sequence[str], others: Sequence[str] = ("-",)) -> None:
        self._text = text
        self._values = cycle(values)
        self._others = cycle(others)
        self._idle: asyncio.Queue[Connection] = asyncio.Queue()
        self._items = count()
        self._word = token_hex(8)
        self.sent = 0
        self.refused = 0
        self.taken: list[float] = []
        self.answers: list[tuple[float, bytes]] = []
        """When each answer came, by the clock of ``time.monotonic``, and what it says."""

    async def connect(self, host: str, port: int) -> None:
        """Open all connections."""
        for _ in range(CONNECTIONS):
            self._idle.put_nowait(await asyncio.open_connection(host, port))

    async def close(self) -> None:
        """Close all connections, once every request is answered."""
        while not self._idle.empty():
            _, writer = self._idle.get_nowait()
            writer.close()
            await writer.wait_closed()

    def _fill(self, mark: re.Match[str]) -> str:
        match mark.group(1):
            case "value":
                return next(self._values)
            case "other":
                return next(self._others)
            case "item":
                return f"{self._word}{next(self._items):010}"
            case _:
                return f"{self._word}{self.sent}"

    async def send(self, due: float) -> None:
        """One request; its time counts from when it was due."""
        self.sent += 1
        request = _MARK.sub(self._fill, self._text)
        connection = await self._idle.get()
        reader, writer = connection
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        body = await reader.readexactly(int(head.partition("content-length:")[2].partition("\r\n")[0]))
        self._idle.put_nowait(connection)
        now = time.monotonic()
        self.taken.append(now - due)
        self.answers.append((now, body))
        self.refused += not head.split(" ", 2)[1].startswith("2")


async def main(url: str, writer: Writer, rate: float) -> None:
    """Write until told to stop. A connection that breaks ends it with an error."""
    parts = urlsplit(url)
    await writer.connect(parts.hostname or "", parts.port or 80)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    say(STARTED)
    began = time.monotonic()
    async with asyncio.TaskGroup() as sending:
        while not stop.is_set():
            due = began + writer.sent / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sending.create_task(writer.send(due))
            await asyncio.sleep(0)  # it counts itself when it begins
        seconds = time.monotonic() - began
    await writer.close()
    taken = sorted(writer.taken) or [0.0]
    seconds_to = {"p99": taken[int(len(taken) * 0.99)], "slowest": taken[-1]}
    milliseconds = {name: each * 1000 for name, each in seconds_to.items()}
    say(json.dumps({"rate": len(taken) / seconds, "refused": writer.refused, **milliseconds}))


if __name__ == "__main__":
    _, target, request_file, values_file, others_file, pace, *answers_file = sys.argv
    lines = [Path(path).read_text(encoding="ascii").split() for path in (values_file, others_file)]
    made = Writer(Path(request_file).read_bytes().decode("ascii"), *lines)
    asyncio.run(main(target, made, float(pace)))
    for path in answers_file:
        kept = [(at, json.loads(body)) for at, body in made.answers]
        Path(path).write_text(json.dumps(kept), encoding="utf-8")
