"""The use cases that read the board: pages, ranks, neighbours, how scores are distributed, and a player's own sessions.

Each is answered by the ranking index, and by MySQL, with the same answer, when the index is not to be read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.gather import Gather, SharedWork
from services.common.mysql.database import Database
from services.common.tokens import Principal
from services.leaderboard import cursors
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.index.pages import PageCache, RenderedPage, Style
from services.leaderboard.index.reader import RankingIndex
from services.leaderboard.log import history
from services.leaderboard.log.history import LoggedSession
from services.leaderboard.rules.distribution import Distribution
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Neighbours, Placing, PlayerScore, Position, Ranks, Span
from services.leaderboard.standings import distribution, queries, rendering

T = TypeVar("T")

_GATHERED = 100
# No player's id.
_NOBODY = 0


class SessionsPage(NamedTuple):
    """A page of a player's sessions, newest first, and the cursor of the next one: None when there is none."""

    sessions: Sequence[LoggedSession]
    next_cursor: str | None


class Reads:
    """Boards as they are read.

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
        self._own_scores: Gather[tuple[Place, int], PlayerScore | None] = Gather(self._list_scores, most=_GATHERED, lanes=2)

    async def top(self, place: Ranked, limit: int, offset: int) -> RenderedPage:
        """A page of a place (`TopPage`)."""
        return await self.page(place, TOP, Span(limit, offset))

    @staticmethod
    def empty_top(limit: int, offset: int) -> RenderedPage:
        """A page of a place where nobody has played (`TopPage`)."""
        return RenderedPage.of(rendering.top(Neighbours([], offset, 0), Span(limit, offset), 0))

    async def rank(self, place: Ranked, user_id: int) -> bytes:
        """A player's rank (`PlayerRank`). Raises PlayerNotFound."""
        found, _ = await self.position(place, user_id)
        return rendering.rank(found.player, found.ahead)

    async def own_rank(self, place: Ranked | None, caller: Principal) -> bytes:
        """The caller's rank (`OwnRank`): always of their last acknowledged session, whichever process stored it."""
        found, _ = await self.own_position(place, caller) if place else (None, None)
        if found is None:
            return rendering.rank(PlayerScore(caller.user_id, caller.username, 0), None)
        return rendering.rank(found.player, found.ahead)

    async def around(self, place: Ranked, user_id: int, radius: int) -> bytes:
        """A player among those who stand next to them (`PlayersAround`). Raises PlayerNotFound."""
        found, _ = await self.neighbours(place, user_id, radius)
        return rendering.around(found)

    async def page(self, place: Ranked, style: Style, span: Span) -> RenderedPage:
        """A page, rendered in a style."""
        page = await self._pages.find(place, style, span)
        return page if page is not None else await self.stored_page(place, style, span)

    async def stored_page(self, place: Ranked, style: Style, span: Span) -> RenderedPage:
        """The same from MySQL, without a generation."""

        async def load(connection: AsyncConnection) -> RenderedPage:
            found = await queries.find_page(connection, place.at, span)
            total_players = await queries.count_players(connection, place.at)
            return RenderedPage.of(await style.render(found, span, total_players, None))

        return await self._from_mysql(("page", style.name, place.at, span), load)

    async def position(self, place: Ranked, user_id: int) -> tuple[Position, int]:
        """A player's score, how many are ahead of it, and how many are ranked. Raises PlayerNotFound."""

        async def load(connection: AsyncConnection) -> tuple[Position | None, int]:
            found = await queries.list_scores(connection, place.at, [user_id])
            if not found:
                return None, await queries.count_players(connection, place.at)
            sort = place.direction.sort(found[0].score)
            ahead, total_players = await queries.count_ahead_and_all(connection, place.at, sort)
            return Position(found[0], ahead), total_players

        answer = await self._index.rank(place, user_id)
        found, total_players = answer if answer is not None else await self._from_mysql(("rank", place.at, user_id), load)
        if found is None:
            raise not_found(user_id)
        return found, total_players

    async def placing(self, place: Ranked, user_id: int) -> Placing:
        """A player's position, and what they lack of a better one. Raises PlayerNotFound."""

        async def load(connection: AsyncConnection) -> Placing | None:
            found = await queries.list_scores(connection, place.at, [user_id])
            return await queries.find_placing(connection, place, found[0]) if found else None

        answer = await self._index.placing(place, user_id)
        found = answer[0] if answer is not None else await self._from_mysql(("placing", place.at, user_id), load)
        if found is None:
            raise not_found(user_id)
        return found

    async def own_placing(self, place: Ranked, caller: Principal) -> Placing | None:
        """The caller's, as `own_position` has it."""
        own = await self._own_scores.ask((place.at, caller.user_id))
        if own is None:
            return None

        async def load(connection: AsyncConnection) -> Placing:
            return await queries.find_placing(connection, place, own)

        placing = await self._index.own_placing(place, own)
        return placing if placing is not None else await self._from_mysql(("own placing", place.at, own), load)

    async def own_position(self, place: Ranked, caller: Principal) -> tuple[Position | None, int | None]:
        """The caller's: always of their last acknowledged session, whichever process stored it. None before the first.

        So the score is MySQL's; the index is asked only how many are ahead of it.
        """
        own = await self._own_scores.ask((place.at, caller.user_id))
        if own is None:
            return None, None
        found = await self._index.ahead(place, own.user_id, own.score)
        if found is None:
            [ranks] = await self.ranks([(place, {own.user_id: own.score})])
            return Position(own, ranks.by_player[own.user_id] - 1), ranks.total_players
        return Position(own, found[0]), found[1]

    async def neighbours(self, place: Ranked, user_id: int, radius: int) -> tuple[Neighbours, int]:
        """A player among those who stand next to them, and how many are ranked. Raises PlayerNotFound."""

        async def load(connection: AsyncConnection) -> tuple[Neighbours | None, int]:
            total_players = await queries.count_players(connection, place.at)
            return await queries.find_neighbours(connection, place.at, user_id, radius), total_players

        answer = await self._index.around(place, user_id, radius)
        question = "around", place.at, user_id, radius
        found, total_players = answer if answer is not None else await self._from_mysql(question, load)
        if found is None:
            raise not_found(user_id)
        return found, total_players

    async def count_players(self, place: Ranked) -> int:
        """How many players are ranked."""
        found = await self._index.ahead(place, _NOBODY, 0)
        if found is not None:
            return found[1]

        async def load(connection: AsyncConnection) -> int:
            return await queries.count_players(connection, place.at)

        return await self._from_mysql(("count", place.at), load)

    async def ahead(self, place: Ranked, score: int) -> tuple[int, int]:
        """How many players are strictly ahead of a score, and how many are ranked."""

        async def load(connection: AsyncConnection) -> tuple[int, int]:
            return await queries.count_ahead_and_all(connection, place.at, place.direction.sort(score))

        found = await self._index.ahead(place, _NOBODY, score)
        return found if found is not None else await self._from_mysql(("ahead", place.at, score), load)

    async def positions(self, place: Ranked, user_ids: tuple[int, ...]) -> tuple[Sequence[Position], int]:
        """The places of those of some players who are ranked, in their order, and how many are ranked."""

        async def load(connection: AsyncConnection) -> tuple[Sequence[Position], int]:
            return await queries.list_positions(connection, place, user_ids)

        found = await self._index.positions(place, user_ids)
        return found if found is not None else await self._from_mysql(("positions", place.at, user_ids), load)

    async def distribution(self, place: Ranked, bins: int) -> Distribution:
        """How scores are distributed, in at most so many bins."""

        async def load(connection: AsyncConnection) -> Distribution:
            return await distribution.find(connection, place, bins)

        found = await self._index.distribution(place, bins)
        return found if found is not None else await self._from_mysql(("distribution", place.at, bins), load)

    async def ranks_of(self, user_id: int, scores: Mapping[Ranked, int]) -> dict[Place, tuple[int, int | None]]:
        """The rank that a player has in each of these places with this score, and how many are ranked there."""
        places = list(scores)
        found = await asyncio.gather(*(self._index.ahead_after_change(place, user_id, scores[place]) for place in places))
        ranks: dict[Place, tuple[int, int | None]] = {
            place.at: (1 + each[0], each[1]) for place, each in zip(places, found, strict=True) if each is not None
        }
        others = [place for place in places if place.at not in ranks]
        if others:
            counted = await self.ranks([(place, {user_id: scores[place]}) for place in others])
            ranks |= {place.at: (of.by_player[user_id], of.total_players) for place, of in zip(others, counted, strict=True)}
        return ranks

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

    async def _list_scores(self, asked: list[tuple[Place, int]]) -> list[PlayerScore | BaseException | None]:
        wanted: dict[Place, set[int]] = {}
        for at, user_id in asked:
            wanted.setdefault(at, set()).add(user_id)
        found: dict[tuple[Place, int], PlayerScore] = {}
        async with self._reads.reading() as connection:
            for at, user_ids in wanted.items():
                found |= {(at, player.user_id): player for player in await queries.list_scores(connection, at, user_ids)}
        return [found.get(each) for each in asked]

    async def _from_mysql(self, question: Hashable, load: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What ``load`` reads, for all who ask ``question`` before it begins."""

        async def work() -> object:
            self.from_mysql += 1
            async with self._reads.reading() as connection:
                return await load(connection)

        answer: T = await self._shared.ask(question, work)  # type: ignore[assignment]  # what its question's load gives
        return answer


async def _render_top(found: Neighbours, span: Span, total_players: int, _: str | None) -> bytes:
    return rendering.top(found, span, total_players)


TOP = Style("top", _render_top)


def not_found(user_id: int) -> PlayerNotFound:
    return PlayerNotFound(f"Nobody with the id {user_id} has played on this board.")
