"""The use cases that tell numbers of a board: the rank of a score, the ranks of some players, how scores are distributed.

Names are looked up as board_reads.py does, and numbers are found in reads.py.
"""

from collections.abc import Collection, Mapping
from operator import attrgetter

from services.common.gather import Gather
from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.leaderboard.board_reads import Asked, BoardReads
from services.leaderboard.boards.board import Board
from services.leaderboard.reads import Reads
from services.leaderboard.rules.distribution import Distribution
from services.leaderboard.rules.ranking import MAX_TOTAL
from services.leaderboard.standings import queries, rendering

# Of players a call names 200 at most.
_GATHERED = 5


class BoardNumbers:
    """Numbers of boards, by their names. ``snapshots`` as `Reads` has it. Every method raises what `BoardReads.find` does."""

    def __init__(self, board_reads: BoardReads, reads: Reads, snapshots: Database) -> None:
        self._board_reads = board_reads
        self._reads = reads
        self._snapshots = snapshots
        self._names: Gather[tuple[int, ...], Mapping[int, str]] = Gather(self._list_names, most=_GATHERED)

    async def score_rank(self, asked: Asked, score: int) -> bytes:
        """The rank that a score would have now (`ScoreRank`). Raises InvalidRequest when nobody can have it on the board."""
        shown, head = await self._board_reads.look(asked)
        _require_score(shown.board, score)
        ahead, total_players = await self._reads.ahead(shown.place, score) if shown.place else (0, 0)
        return rendering.score_rank(head, score, ahead, total_players)

    async def player_ranks(self, asked: Asked, user_ids: tuple[int, ...]) -> bytes:
        """The ranks of some players, and how they stand among themselves (`PlayerRanks`).

        Who is not ranked there is told by name if they have played anywhere. Where all are, nobody's is looked up.
        """
        shown, head = await self._board_reads.look(asked)
        found, total_players = await self._reads.positions(shown.place, user_ids) if shown.place else ([], 0)
        ranked = {position.player.user_id for position in found}
        others = tuple([user_id for user_id in user_ids if user_id not in ranked])
        names = await self._names.ask(others) if others else {}
        in_order = sorted(found, key=attrgetter("ahead"))
        return rendering.player_ranks(head, in_order, [(each, names.get(each)) for each in others], total_players)

    async def distribution(self, asked: Asked, bins: int) -> bytes:
        """How the scores are distributed, in at most so many bins (`ScoreDistribution`)."""
        shown, head = await self._board_reads.look(asked)
        found = await self._reads.distribution(shown.place, bins) if shown.place else Distribution(0, [], [])
        return rendering.score_distribution(head, found)

    async def _list_names(self, asked: Collection[tuple[int, ...]]) -> list[Mapping[int, str]]:
        async with self._snapshots.reading() as connection:
            names = await queries.list_names(connection, {user_id for user_ids in asked for user_id in user_ids})
        return [names] * len(asked)


def _require_score(board: Board, score: int) -> None:
    definition = board.definition
    # A total may be more than one session's.
    greatest = MAX_TOTAL if definition.aggregate == "total" else definition.max_score
    if not definition.min_score <= score <= greatest:
        detail = f"Scores of the board {board.name} are {definition.min_score} to {greatest}."
        raise InvalidRequest(detail, errors=[FieldError(detail=detail, parameter="score")])
