"""Who watches a board, in a process of its own: ``python -m tests.bench.watchers <url> <path> <count> <tokens> <results>``.

Opens so many streams, every second one with one of the tokens, and keeps when each was told what, until SIGTERM. All of it is
then in the file of results, as `Watched` has it.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from services.local.terminal import say
from tests.bench.writer import STARTED
from tests.system import bearer
from tests.watching import Event, Watcher, all_are

# So many are opened at once: how fast a thousand come is another question.
_AT_ONCE = 50
_OPEN_SECONDS = 60


@dataclass
class Watched:
    """What a crowd was told. Times are those of ``time.monotonic``, which all processes of a machine share."""

    pages: list[str] = field(default_factory=list)
    """Each page once, in the order in which they came."""
    shown: list[list[tuple[float, int]]] = field(default_factory=list)
    """Of each stream when it was told which of the pages."""
    own: list[list[tuple[float, str]]] = field(default_factory=list)
    """Of each stream with a token when it was told which own rank."""
    broken: int = 0
    """Streams that ended, broke off or were refused."""


class Crowd:
    """The watchers, and what they were told."""

    def __init__(self, url: str, path: str, count: int, tokens: Sequence[str]) -> None:
        self.watched = Watched()
        self._numbers: dict[bytes, int] = {}
        self.watchers = [self._watcher(url, path, number, tokens) for number in range(count)]

    def _watcher(self, url: str, path: str, number: int, tokens: Sequence[str]) -> Watcher:
        shown: list[tuple[float, int]] = []
        own: list[tuple[float, str]] = []
        self.watched.shown.append(shown)
        signed_in = number % 2 == 1
        if signed_in:
            self.watched.own.append(own)

        def hear(_: Watcher, event: Event) -> None:
            if event.kind == "top":
                page = self._numbers.get(event.data)
                if page is None:
                    page = self._numbers[event.data] = len(self._numbers)
                shown.append((event.at, page))
            elif event.kind == "me":
                own.append((event.at, event.data.decode()))

        return Watcher([url], path, bearer(tokens[number // 2 % len(tokens)]) if signed_in else None, hear=hear)

    async def watch(self) -> None:
        """Until told to stop."""
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        async with asyncio.TaskGroup() as tasks:
            watching = []
            for start in range(0, len(self.watchers), _AT_ONCE):
                some = self.watchers[start : start + _AT_ONCE]
                watching += [tasks.create_task(watcher.watch()) for watcher in some]
                await all_are(some, lambda watcher: "top" in watcher.last, _OPEN_SECONDS)
            say(STARTED)
            await stop.wait()
            self.watched.broken = sum(each.streams - 1 + len(each.refusals) + (each.url is None) for each in self.watchers)
            for task in watching:
                task.cancel()
        self.watched.pages = [page.decode() for page in self._numbers]


if __name__ == "__main__":
    _, target, asked, number, tokens_file, results_file = sys.argv
    crowd = Crowd(target, asked, int(number), Path(tokens_file).read_text(encoding="ascii").split())
    uvloop.run(crowd.watch())
    Path(results_file).write_text(json.dumps(asdict(crowd.watched)), encoding="utf-8")
