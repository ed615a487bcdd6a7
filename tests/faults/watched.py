"""Who watches while the system is held against the model: on a loop of their own, beside what is done."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from typing import Any

from tests.faults.model import Asked, Model
from tests.faults.subject import ANSWER_SECONDS, DOUBT, Subject, now
from tests.watching import Watcher, live_path, watching

_PAUSE_SECONDS = 0.05
"""Until a watcher comes back whose process was killed: nobody is to wait for it here."""


@dataclass(frozen=True)
class _Watched:
    watcher: Watcher
    process: int
    asked: Asked
    user: int
    limit: int


class Watchers:
    """Two watchers of each board, who are players: of one window through one process, of another one through the next.

    ``tokens`` are the players', by their ids.
    """

    def __init__(self, subject: Subject, model: Model, tokens: Mapping[int, dict[str, str]]) -> None:
        self._subject = subject
        self._model = model
        self._tokens = tokens
        self._watched = [
            self._watch(number, Asked(board.name, board.windows[-second].name, "current"))
            for number, (board, second) in enumerate((board, second) for board in model.boards.values() for second in (0, 1))
        ]
        self._over = Event()
        self._thread = Thread(target=asyncio.run, args=[self._run()], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Have them go."""
        self._over.set()
        self._thread.join()

    def have_last_state(self) -> None:
        """Each has been told, or is within moments, what is answered now to who asks, and what the model has."""
        deadline = time.monotonic() + ANSWER_SECONDS
        for each in self._watched:
            while True:
                before = now()
                told, answered = self._told(each), self._answered(each)
                if told == answered and told in [self._wanted(each, before - DOUBT), self._wanted(each, now() + DOUBT)]:
                    break
                assert time.monotonic() < deadline, f"{told} and not {answered}, {self._wanted(each, now())}"
                time.sleep(0.02)
            self._subject.done["last events of watchers compared"] += 1

    def _watch(self, number: int, asked: Asked) -> _Watched:
        process, user = number % self._subject.processes, self._model.users[number % len(self._model.users)]
        path = live_path(asked.board, window=asked.window, limit=len(self._model.users))
        watcher = Watcher([self._subject.url(process)], path, self._tokens[user], pause=_PAUSE_SECONDS)
        return _Watched(watcher, process, asked, user, len(self._model.users))

    async def _run(self) -> None:
        async with watching(*(each.watcher for each in self._watched)):
            await asyncio.to_thread(self._over.wait)

    def _told(self, each: _Watched) -> Any:
        return _shown(each.watcher.read("top"), each.watcher.read("me"))

    def _answered(self, each: _Watched) -> Any:
        place = f"window={each.asked.window}"
        _, page = self._subject.ask(each.process, f"boards/{each.asked.board}/top?{place}&limit={each.limit}")
        _, own = self._subject.ask(each.process, f"boards/{each.asked.board}/rank/me?{place}", self._tokens[each.user])
        return _shown(page, own)

    def _wanted(self, each: _Watched, time: datetime) -> Any:
        place = self._model.place(each.asked, time)
        rows = self._model.rows(place)
        head = {"board": each.asked.board, "window": each.asked.window, "period_id": place and place.period_id}
        page = {**head, "top": rows, "offset": 0, "total_players": len(rows)}
        return _shown(page, {**head, **self._model.own(place, each.user), "total_players": len(rows)})


def _shown(page: Any, own: Any) -> Any:
    """What both say of the ranking. The name of who is not ranked is the token's, which a stream keeps."""
    if page is None or own is None:
        return None
    names = ["board", "window", "period_id", "user_id", "score", "rank", "total_players"]
    if own["rank"] is not None:
        names.append("username")
    return (
        {name: value for name, value in page.items() if name not in ("generation", "next_cursor")},
        {name: own[name] for name in names},
    )
