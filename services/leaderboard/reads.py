"""The use cases that read the board: pages, ranks, neighbours, and a player's own sessions.

Each is answered by the ranking index, and by MySQL, with the same answer, when the index is not to be read.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.gather import Gather, SharedWork
from services.common.mysql.database import Database
from services.common.tokens import Principal
from services.leaderboard import cursors
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.index.pages import PageCache, RenderedPage
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.log import history
from services.leaderboard.log.history import LoggedSession
from services.leaderboard.rules.places import MAIN, MAIN_RANKED, Ranked
from services.leaderboard.rules.standings import Neighbours, PlayerScore, Position, Ranks
from services.leaderboard.standings import queries, rendering

T = TypeVar("T")

_GATHERED = 100


class SessionsPage(NamedTuple):
    """A page of a player's sessions, newest first, and the cursor of the next one: None when there is none."""

    sessions: Sequence[LoggedSession]
    next_cursor: str | None


class Reads:
    """The board as it is read.

    ``reads`` gives each connection one snapshot, so that what MySQL answers is of one moment. How many of its connections
    there are bounds how many such answers are worked out at once; those who ask the same share one.
    """

    def __init__(self, reads: Database, index: RankingIndex, pages: PageCache) -> None:
        self._reads = reads
        self._index = index
        self._pages = pages
        self._shared: SharedWork[object] = SharedWork()
        self.from_mysql = 0
        """How often MySQL was asked for what the index tells otherwise."""
        self._own_scores: Gather[int, PlayerScore | None] = Gather(self._list_scores, most=_GATHERED, lanes=2)

    async def top(self, limit: int, offset: int) -> RenderedPage:
        """A page of the board (`TopPage`)."""

        async def load(connection: AsyncConnection) -> RenderedPage:
            players = await queries.list_page(connection, MAIN, limit, offset)
            ahead = await queries.count_ahead(connection, MAIN, _sort(players[0].score)) if players else 0
            total_players = await queries.count_players(connection, MAIN)
            return RenderedPage.of(rendering.top(Neighbours(players, offset, ahead), limit, total_players))

        page = await self._pages.find(MAIN_RANKED, limit, offset)
        return page if page is not None else await self._from_mysql(("top", limit, offset), load)

    async def rank(self, user_id: int) -> bytes:
        """A player's rank (`PlayerRank`). Raises PlayerNotFound."""

        async def load(connection: AsyncConnection) -> Position | None:
            found = await queries.list_scores(connection, MAIN, [user_id])
            return Position(found[0], await queries.count_ahead(connection, MAIN, _sort(found[0].score))) if found else None

        answer = await self._index.rank(MAIN_RANKED, user_id)
        place = answer[0] if answer is not None else await self._from_mysql(("rank", user_id), load)
        if place is None:
            raise _not_found(user_id)
        return rendering.rank(place.player, place.ahead)

    async def own_rank(self, caller: Principal) -> bytes:
        """The caller's rank (`OwnRank`): always of their last acknowledged session, whichever process stored it.

        So the score is MySQL's; the index is asked only how many are ahead of it.
        """
        own = await self._own_scores.ask(caller.user_id)
        if own is None:
            return rendering.rank(PlayerScore(caller.user_id, caller.username, 0), None)
        ahead = await self._index.ahead(MAIN_RANKED, own.user_id, own.score)
        if ahead is None:
            [ranks] = await self.ranks([(MAIN_RANKED, {own.user_id: own.score})])
            ahead = ranks.by_player[own.user_id] - 1
        return rendering.rank(own, ahead)

    async def around(self, user_id: int, radius: int) -> bytes:
        """A player among those who stand next to them (`PlayersAround`). Raises PlayerNotFound."""

        async def load(connection: AsyncConnection) -> Neighbours | None:
            return await queries.find_neighbours(connection, MAIN, user_id, radius)

        answer = await self._index.around(MAIN_RANKED, user_id, radius)
        found = answer[0] if answer is not None else await self._from_mysql(("around", user_id, radius), load)
        if found is None:
            raise _not_found(user_id)
        return rendering.around(found)

    async def ranks(self, asked: Sequence[tuple[Ranked, Mapping[int, int]]]) -> Sequence[Ranks]:
        """The ranks that players have with these scores, by place, among the others as they are now: from MySQL."""
        sorts = [
            (place.at, {user_id: place.direction.sort(score) for user_id, score in scores.items()}) for place, scores in asked
        ]

        async def load(connection: AsyncConnection) -> Sequence[Ranks]:
            return await queries.find_ranks(connection, sorts)

        return await self._from_mysql(("ranks", *((at, *each.items()) for at, each in sorts)), load)

    async def own_sessions(self, caller: Principal, limit: int, cursor: str | None) -> SessionsPage:
        """A page of the caller's sessions, newest first. Raises InvalidRequest when the cursor is not one of ours."""
        before = None if cursor is None else cursors.decode(cursor)
        async with self._reads.reading() as connection:
            rows = await history.list_own_sessions(connection, caller.user_id, before, limit + 1)
        page = rows[:limit]
        return SessionsPage(page, cursors.encode(page[-1].session_id) if len(rows) > limit else None)

    async def _list_scores(self, user_ids: list[int]) -> list[PlayerScore | BaseException | None]:
        async with self._reads.reading() as connection:
            found = await queries.list_scores(connection, MAIN, set(user_ids))
        by_user = {player.user_id: player for player in found}
        return [by_user.get(user_id) for user_id in user_ids]

    async def _from_mysql(self, question: Hashable, load: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What ``load`` reads, for all who ask ``question`` before it begins."""

        async def work() -> object:
            self.from_mysql += 1
            async with self._reads.reading() as connection:
                return await load(connection)

        answer: T = await self._shared.ask(question, work)  # type: ignore[assignment]  # what its question's load gives
        return answer


def _sort(score: int) -> int:
    return MAIN_RANKED.direction.sort(score)


def _not_found(user_id: int) -> PlayerNotFound:
    return PlayerNotFound(f"Nobody with the id {user_id} has played on this board.")
