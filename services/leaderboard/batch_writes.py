"""The use case of game servers that submit many sessions at once."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

import structlog

from services.common.http.problems import InvalidRequest, Problem, content, failure, find_problem
from services.common.turns import Turns
from services.leaderboard.boards.places import Places
from services.leaderboard.errors import UnknownUser
from services.leaderboard.log import submission_keys
from services.leaderboard.log.limits import SubmissionLimit
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import Submitted, Writer
from services.leaderboard.players.accounts import Account
from services.leaderboard.players.lookups import AccountLookups
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Count
from services.leaderboard.standings import rendering
from services.leaderboard.standings.rendering import RankedIn
from services.leaderboard.writes import require_played

log = structlog.get_logger(__name__)

# Sessions of which it is found out at once where they count, so that they share round trips.
_ASKED_AT_ONCE = 100


class Item(NamedTuple):
    """A session of a call with many: whose it is, and by what the game server calls it."""

    user_id: int
    key: str
    played: Played


class BatchWrites:
    """Sessions of game servers, many in a call. ``clock`` is MySQL's, as this process knows it."""

    def __init__(
        self,
        places: Places,
        limit: SubmissionLimit,
        writer: Writer,
        accounts: AccountLookups,
        clock: Callable[[], datetime],
    ) -> None:
        self._places = places
        self._limit = limit
        self._writer = writer
        self._accounts = accounts
        self._clock = clock
        self.turns = Turns()

    async def submit(self, items: Sequence[Item | Problem]) -> bytes:
        """Store sessions, and count them. What is a problem already stays one, and none is another item's.

        Gives what became of each as JSON (`BatchResults`). Raises QueueFull and ServiceUnavailable when nothing was stored.
        """
        now = self._clock()
        accounts = await self._accounts.find_all({item.user_id for item in items if isinstance(item, Item)})
        decided = await self._decide(items, accounts, now)
        outcomes = iter(await self._writer.submit_all([each for each in decided if isinstance(each, Submission)]))
        results = [next(outcomes) if isinstance(each, Submission) else each for each in decided]
        places = {rank.at for each in results if isinstance(each, Submitted) for rank in each.ranks}
        names = {at: await self._places.names(at) for at in places}

        def render() -> Iterator[str]:
            for result in results:
                if isinstance(result, Submitted):
                    standings = [RankedIn(*names[rank.at], rank) for rank in result.ranks]
                    status = 200 if result.replayed else 201
                    yield rendering.stored_item(status, result.session_id, standings, held=result.held)
                else:
                    yield _refused(result)

        return rendering.results(await self.turns.run(render()))

    async def _decide(
        self, items: Sequence[Item | Problem], accounts: Mapping[int, Account], now: datetime
    ) -> list[Submission | Problem]:
        """What is to be stored, and where it counts; or why it is not. Raises what the database raises."""
        decided: dict[int, Submission | Problem] = {}
        asking: list[tuple[int, Item]] = []
        until = await self.turns.take()
        for number, item in enumerate(items):
            if isinstance(item, Problem):
                decided[number] = item
            elif self._may_ask(item.played):
                asking.append((number, item))
            else:
                decided[number] = await self._decide_one(item, accounts, now)
            if perf_counter() >= until:
                until = await self.turns.take()
        for start in range(0, len(asking), _ASKED_AT_ONCE):
            some = asking[start : start + _ASKED_AT_ONCE]
            found = await asyncio.gather(*[self._decide_one(item, accounts, now) for _, item in some])
            decided |= {number: each for (number, _), each in zip(some, found, strict=True)}
        await self._keep_repeats(items, decided, accounts, now)
        return [decided[number] for number in range(len(items))]

    def _may_ask(self, played: Played) -> bool:
        """Whether MySQL may be asked where a session counts, other than the first time in a period."""
        return played.played_at is not None or any(self._places.find_board(name) is None for name in played.boards or ())

    async def _decide_one(self, item: Item, accounts: Mapping[int, Account], now: datetime) -> Submission | Problem:
        account = accounts.get(item.user_id)
        if account is None:
            return UnknownUser(item.user_id)
        try:
            require_played(item.played, now)
            counts = await self._places.counts(item.played, now, "servers")
        except InvalidRequest as refusal:
            return refusal
        return _submission(item, account, counts, now)

    async def _keep_repeats(
        self,
        items: Sequence[Item | Problem],
        decided: dict[int, Submission | Problem],
        accounts: Mapping[int, Account],
        now: datetime,
    ) -> None:
        """What is stored counts where it did, whatever its boards take by now."""
        refused = [
            (number, item)
            for number, item in enumerate(items)
            if isinstance(item, Item) and isinstance(decided[number], InvalidRequest)
        ]
        if refused:
            stored = await self._limit.are_stored([(item.user_id, _key(item)) for _, item in refused])
            for (number, item), is_stored in zip(refused, stored, strict=True):
                if is_stored:
                    decided[number] = _submission(item, accounts[item.user_id], [], now)


def _key(item: Item) -> bytes:
    return submission_keys.of_game_server(item.key)


def _submission(item: Item, account: Account, counts: Sequence[Count], now: datetime) -> Submission:
    return Submission(item.user_id, account.username, _key(item), item.played, now, counts, by="servers")


def _refused(error: BaseException) -> str:
    """`RefusedItem`."""
    problem = find_problem(error)
    if problem is None:
        log.error("a session of many was not stored", exc_info=error)
        problem = failure()
    return json.dumps({"status": problem.status, "problem": content(problem)}, ensure_ascii=False)
