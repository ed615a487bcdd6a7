"""The use cases that read what is public of players: they are found by their names, and shown with what they have reached. And
their own sessions on a board.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from services.common import names
from services.common.gather import SharedWork
from services.common.mysql.database import Database
from services.common.tokens import Principal
from services.leaderboard import cursors
from services.leaderboard.board_reads import Asked, BoardReads, CurrentStanding
from services.leaderboard.boards.board import MAIN_NAME
from services.leaderboard.boards.places import Places
from services.leaderboard.cursors import Listing
from services.leaderboard.errors import PlayerNotFound
from services.leaderboard.log import bests, history
from services.leaderboard.log.bests import BestSession, ShownSession
from services.leaderboard.players import profiles, search
from services.leaderboard.players.profiles import Careers
from services.leaderboard.players.search import FoundPlayer
from services.leaderboard.reads import Reads, SessionsPage, not_found
from services.leaderboard.rules.percentiles import percentile
from services.leaderboard.rules.ranking import Aggregate
from services.leaderboard.rules.standings import Position


class RankedPlayer(NamedTuple):
    """A player who was found by name, and how they stand on the main board, in its first window: None where they do not."""

    user_id: int
    username: str
    score: int | None
    rank: int | None


class Profile(NamedTuple):
    """What anybody may know of a player. ``since``: when the first of their sessions that count was played, None without any.

    With each standing its percentile.
    """

    username: str
    since: datetime | None
    sessions: int
    standings: Sequence[tuple[CurrentStanding, float]]


class Best(NamedTuple):
    """How a player stands in a place, and the session that made it so; of a total, their best one there.

    ``value``: what the session counts for. What it said of itself is left out where the board does not show it.
    """

    board: str
    window: str
    period_id: int
    username: str
    score: int
    rank: int
    session: ShownSession
    value: int


class PlayerReads:
    """Players by their names and numbers. ``clock`` and ``snapshots`` as `BoardReads` has them."""

    def __init__(
        self,
        places: Places,
        reads: Reads,
        board_reads: BoardReads,
        snapshots: Database,
        clock: Callable[[], datetime],
    ) -> None:
        self._places = places
        self._reads = reads
        self._board_reads = board_reads
        self._snapshots = snapshots
        self._clock = clock
        self._careers = Careers(snapshots)
        self._searches: SharedWork[list[FoundPlayer]] = SharedWork()

    async def search(self, text: str) -> list[RankedPlayer]:
        """Players whose names begin so, in whatever case and width: the best of the first names (search.py)."""
        place = (await self._places.shown(MAIN_NAME, None, None, self._clock)).place
        beginnings = names.beginnings(text)

        async def work() -> list[FoundPlayer]:
            async with self._snapshots.reading() as connection:
                return await search.list_beginning(connection, beginnings, place and place.at)

        found = await self._searches.ask((*beginnings, place), work)
        ranked = tuple([player.user_id for player in found if player.score is not None])
        positions, _ = await self._reads.positions(place, ranked) if place and ranked else ([], 0)
        by_player = {position.player.user_id: position for position in positions}
        return [_ranked(player, by_player.get(player.user_id)) for player in found]

    async def profile(self, user_id: int) -> Profile:
        """A player. Raises PlayerNotFound for one who has not played, is banned, or whose account has ended."""
        async with self._snapshots.reading() as connection:
            username = await profiles.find_name(connection, user_id)
        if username is None:
            raise PlayerNotFound(f"Nobody with the id {user_id} has played.")
        counted = await self._careers.of(user_id)
        standings = [_rated(each) for each in await self._board_reads.list_standings(user_id)]
        return Profile(username, counted.since, counted.sessions, standings)

    async def best(self, asked: Asked, user_id: int) -> Best:
        """The session that made a player's standing; of a total, the best of their newest ones there (bests.py).

        Raises PlayerNotFound for one who is not ranked there, and what `BoardReads` raises for a place.
        """
        board, window, place, _ = await self._places.shown(*asked, self._clock)
        if place is None:
            raise not_found(user_id)
        async with self._snapshots.reading() as connection:
            standing = await profiles.find_standing(connection, place.at, user_id)
            if standing is None:
                raise not_found(user_id)
            best = BestSession(standing.reached_session_id, standing.score)
            if board.counting.aggregate is Aggregate.TOTAL:
                # Where none of the newest counts there, it is the one that brought the total to where it is.
                best = await bests.find_best(connection, place, board.definition.metric, user_id) or best
            session = await bests.find_shown(connection, user_id, best.session_id)
        if session is None:
            raise not_found(user_id)
        if not board.definition.show_extra:
            session = session._replace(metrics=None, tags=None, extra=None)
        rank, _ = (await self._reads.ranks_of(user_id, {place: standing.score}))[place.at]
        window_name, period_id = window.definition.name, place.at.period_id
        return Best(board.name, window_name, period_id, standing.username, standing.score, rank, session, best.value)

    async def own_sessions(self, caller: Principal, name: str, limit: int, cursor: str | None) -> SessionsPage:
        """A page of the caller's sessions that count on a board, or would once somebody has approved them, newest first.

        It may have fewer than there are, and even none, as long as it has a cursor (history.py). Raises BoardNotFound, and
        InvalidRequest when the cursor is not one of this list.
        """
        board = await self._places.board(name)
        listing = Listing("s1", cursors.ID, (board.board_id,))
        before = listing.decode_id(cursor)
        async with self._snapshots.reading() as connection:
            looked = await history.list_own_on_board(connection, caller.user_id, board.board_id, before, limit + 1)
        page, next_cursor = listing.cut(looked.sessions, limit, lambda each: each.session_id)
        if next_cursor is None and looked.last is not None:
            next_cursor = listing.encode(looked.last)
        return SessionsPage(page, next_cursor)


def _ranked(player: FoundPlayer, position: Position | None) -> RankedPlayer:
    score, rank = (None, None) if position is None else (position.player.score, 1 + position.ahead)
    return RankedPlayer(player.user_id, player.username, score, rank)


def _rated(standing: CurrentStanding) -> tuple[CurrentStanding, float]:
    # The index may not have heard yet of a player's first session there.
    players = max(standing.rank, standing.total_players or 0)
    return standing._replace(total_players=players), percentile(players - standing.rank + 1, players)
