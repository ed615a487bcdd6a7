"""A crowd that watches the main board of some processes, players among them, and what they must be shown in the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from time import monotonic
from typing import Any

import httpx

from tests.faults.proofs import Proof
from tests.playing import API, send
from tests.system import Accounts
from tests.watching import Watcher, all_are, live_path, watching

BOARD = "main"
# Everybody is on the page that is watched.
LIMIT = 100
_TOP = f"boards/{BOARD}/top?window=all&limit={LIMIT}"
_OWN = f"boards/{BOARD}/rank/me?window=all"
# As a client is told to, or sooner.
_AGAIN_SECONDS = 0.1
# On a machine that may be busy: it is before anything fails.
_BEGUN_SECONDS = 60


class Crowd:
    """So many watchers of some processes: ``urls`` says of each in which order it asks them. Every second one is a player."""

    def __init__(
        self,
        urls: Callable[[int], Sequence[str]],
        accounts: Accounts,
        *,
        watchers: int,
        first_id: int,
        players: int = 10,
        pause: float | None = None,
    ) -> None:
        self._players = {user: accounts.new(user_id=user) for user in range(first_id, first_id + players)}
        self._keys = count()
        self.totals = dict.fromkeys(self._players, 0)
        """What was acknowledged to each player."""
        users = [first_id + number // 2 % players if number % 2 else None for number in range(watchers)]
        path = live_path(BOARD, window="all", limit=LIMIT)
        self.watchers = [
            Watcher(urls(number), path, self._players[user] if user else None, pause=pause) for number, user in enumerate(users)
        ]
        self._users = dict(zip(self.watchers, users, strict=True))

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """They watch, until the end of the block: from when each has its first events on."""
        async with watching(*self.watchers):
            await all_are(self.watchers, self._has_begun, _BEGUN_SECONDS)
            yield

    async def play(self, urls: Sequence[str], sessions: int = 1) -> None:
        """Each player submits so many sessions, one after the other, each until it is stored."""
        async with asyncio.TaskGroup() as playing:
            for user in self._players:
                playing.create_task(self._play(urls[user % len(urls)], user, sessions))

    async def _play(self, url: str, user: int, sessions: int) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            for _ in range(sessions):
                await self.submit(client, user)

    async def submit(self, client: httpx.AsyncClient, user: int | None = None) -> None:
        """A session of a player, or of whoever is next, by its key until it is stored."""
        number = next(self._keys)
        user = user or list(self._players)[number % len(self._players)]
        score = 1_000 + number % 7  # so some pass others
        while True:
            answer = await send(client, self._players[user], score, f"live-{number}")
            if answer.status_code != 503:
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        assert answer.status_code == 201, answer.text
        self.totals[user] += score

    async def is_back(self, streams: Mapping[Watcher, int], proof: Proof, seconds: float) -> None:
        """Those have another stream, within so many seconds, who had had so many."""

        def has_another(watcher: Watcher) -> bool:
            return watcher.url is not None and watcher.streams > streams[watcher]

        with suppress(TimeoutError):
            await all_are(streams, has_another, seconds)
        proof.find("watchers who were not back in time", [self._told(each) for each in streams if not has_another(each)])

    async def has_last_state(self, proof: Proof, seconds: float) -> float:
        """Every watcher has it within so many seconds. Gives how many it took.

        Then it is held against what is answered, to the last field.
        """
        began = monotonic()
        with suppress(TimeoutError):
            await all_are(self.watchers, self._is_right, seconds)
        taken = monotonic() - began
        proof.find("last states lost", [self._told(each) for each in self.watchers if not self._is_right(each)])
        proof.did("last states of watchers compared", len(self.watchers))
        for url in {each.url for each in self.watchers}:
            assert url is not None
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                page, own = await self._answered(client)
            here = [each for each in self.watchers if each.url == url]
            stale = [each for each in here if _ranking(each.read("top")) != page or not _is_part(each.read("me"), own)]
            proof.find("stale watchers", [self._told(each) for each in stale])
        return taken

    async def _answered(self, client: httpx.AsyncClient) -> tuple[Any, dict[int, Any]]:
        answers = await asyncio.gather(
            client.get(f"{API}/{_TOP}"), *(client.get(f"{API}/{_OWN}", headers=each) for each in self._players.values())
        )
        assert {answer.status_code for answer in answers} == {200}
        page, *own = (answer.json() for answer in answers)
        return _ranking(page), {each["user_id"]: each for each in own}

    def _has_begun(self, watcher: Watcher) -> bool:
        """Whether it has its first events."""
        return "top" in watcher.last and ("me" in watcher.last or self._users[watcher] is None)

    def _is_right(self, watcher: Watcher) -> bool:
        """Whether a page has what was acknowledged, and ranks by it, and the own rank is that."""
        if watcher.url is None:
            return False
        rows = watcher.read("top")["top"]
        shown = {row["user_id"]: row["score"] for row in rows if row["user_id"] in self.totals}
        if shown != {user: total for user, total in self.totals.items() if total}:
            return False
        if any(row["rank"] != 1 + sum(other["score"] > row["score"] for other in rows) for row in rows):
            return False
        user, me = self._users[watcher], watcher.read("me")
        if user is None or not self.totals[user]:
            return True
        [rank] = [row["rank"] for row in rows if row["user_id"] == user]
        return (me["user_id"], me["score"], me["rank"]) == (user, self.totals[user], rank)

    def _told(self, watcher: Watcher) -> str:
        """For who reads what is wrong."""
        refused = [each.status for each in watcher.refusals]
        told = f"{watcher.read('me')} {watcher.read('top')}"
        return f"{watcher.url}, of {self._users[watcher]}, refused {refused}: {told} instead of {self.totals}"


def _ranking(page: Any) -> Any:
    """A page without what is not the same everywhere, if Redis was away."""
    return {name: value for name, value in page.items() if name not in ("generation", "next_cursor")}


def _is_part(me: Any, own: dict[int, Any]) -> bool:
    """Whether the event of an own rank, if there was one, says what is answered."""
    if me is None:
        return True
    return all(own[me["user_id"]][name] == value for name, value in me.items() if name != "passed_by")
