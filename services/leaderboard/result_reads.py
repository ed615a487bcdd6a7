"""The use cases that read what periods came to: the results of one that is settled, and what one would come to now."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.common.mysql.database import Database
from services.leaderboard.boards.board import Board
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.cursors import Listing
from services.leaderboard.errors import BoardNotFound, PeriodExpired, PeriodNotFound, PeriodNotSettled, PlayerNotFound
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Cutoff, find_reward_of
from services.leaderboard.seasons import outcome, results, settling
from services.leaderboard.seasons.outcome import Line
from services.leaderboard.seasons.results import PeriodEnd, ResultRow
from services.leaderboard.standings import queries

# The place of a result: there are 10,000 at most.
_PLACE = r"[1-9][0-9]{0,5}"


class ResultsPage(NamedTuple):
    """A page of a period's results, and what tells of all of them."""

    rows: Sequence[ResultRow]
    next_cursor: str | None
    settled_at: datetime
    players: int
    cutoffs: Sequence[Cutoff]
    digest: bytes


class Rehearsal(NamedTuple):
    """What a period would come to now: its first results, and what would tell of all of them."""

    rows: Sequence[ResultRow]
    players: int
    cutoffs: Sequence[Cutoff]
    digest: bytes


class ResultReads:
    """Results of periods. ``snapshots`` gives each connection one snapshot; ``kept``: of how many players they are kept."""

    def __init__(self, catalogue: Catalogue, snapshots: Database, kept: int) -> None:
        self._catalogue = catalogue
        self._snapshots = snapshots
        self._kept = kept

    async def page(self, name: str, period_id: int, limit: int, cursor: str | None) -> ResultsPage:
        """A page of the results of a period. They are kept for ever.

        Raises BoardNotFound, PeriodNotFound, PeriodNotSettled, and InvalidRequest when the cursor is not one of this period's.
        """
        board = await self._catalogue.get(name)
        listing = Listing("r1", _PLACE, (period_id,))
        after = 0 if cursor is None else int(listing.decode(cursor))
        async with self._snapshots.reading() as connection:
            end = _settled(board, period_id, await results.find_end(connection, board.board_id, period_id))
            found = await results.list_results(connection, period_id, after, limit + 1)
        assert end.settled_at is not None
        assert end.players is not None
        assert end.digest is not None
        page, next_cursor = listing.cut(found, limit, lambda each: each.position)
        rows = [each.row for each in page]
        return ResultsPage(rows, next_cursor, end.settled_at, end.players, end.cutoffs, end.digest)

    async def one(self, name: str, period_id: int, user_id: int) -> ResultRow:
        """A player's result. Of one whose result was not kept: how they stand, and the reward that their score reached.

        Raises BoardNotFound, PeriodNotFound, PeriodNotSettled and PlayerNotFound; and PeriodExpired for who can only be told
        from standings, which are gone.
        """
        board = await self._catalogue.get(name)
        at = Place(board.board_id, period_id)
        async with self._snapshots.reading() as connection:
            end = _settled(board, period_id, await results.find_end(connection, board.board_id, period_id))
            found = await results.find_result(connection, period_id, user_id)
            if found is not None:
                return found
            kept = await results.count_results(connection, period_id)
            if end.players is not None and end.players > kept:
                if end.state == "expired":
                    raise PeriodExpired("The player's result was not among those that are kept, and the standings are gone.")
                for player in await queries.list_scores(connection, at, [user_id]):
                    rank = 1 + await queries.count_ahead(connection, at, board.direction.sort(player.score))
                    reward = find_reward_of(end.cutoffs, board.direction, rank, player.score)
                    return ResultRow(rank, user_id, player.username, player.score, reward)
        raise PlayerNotFound(f"The player {user_id} has no result in the period {period_id}.")

    async def rehearse(self, name: str, period_id: int, limit: int) -> Rehearsal:
        """What settling a period now would give, with its first results. Nothing is changed.

        Raises BoardNotFound, PeriodNotFound and PeriodExpired.
        """
        board = await self._catalogue.get(name)
        async with self._snapshots.reading() as connection:
            end = _found(board, period_id, await results.find_end(connection, board.board_id, period_id))
            if end.state == "expired":
                raise PeriodExpired("What was ranked in this period is not kept any more.")
            rewards = await settling.find_rewards(connection, board.board_id, end.window_id)
            if rewards is None:
                raise BoardNotFound(name)
            would = await outcome.read(connection, Place(board.board_id, period_id), rewards, self._kept)
            lines = [Line.parse(line) for line in would.lines.split("\n", limit)[:limit] if line]
            names = await results.list_names(connection, [line.user_id for line in lines])
        rows = [ResultRow(rank, user_id, names.get(user_id), score, reward) for rank, user_id, score, reward in lines]
        return Rehearsal(rows, would.players, would.cutoffs, would.digest)


def _found(board: Board, period_id: int, end: PeriodEnd | None) -> PeriodEnd:
    if end is None:
        raise PeriodNotFound(f"The board {board.name} has no period {period_id}.")
    return end


def _settled(board: Board, period_id: int, end: PeriodEnd | None) -> PeriodEnd:
    """The period, which has results. One that was expired before there were results has none."""
    end = _found(board, period_id, end)
    if end.settled_at is None:
        raise PeriodNotSettled("The period has no results yet. It is settled soon after its `closes_at`.")
    return end
