"""The use cases that write the board: submitting a game session; a player's new name; a player who leaves."""

from collections.abc import Callable
from datetime import datetime

from services.common.http.problems import FieldError, InvalidRequest
from services.common.mysql.database import Database
from services.common.tokens import Principal
from services.leaderboard.boards import definitions
from services.leaderboard.log import submission_keys
from services.leaderboard.log.limits import SubmissionLimit
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import Writer
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.reads import Reads
from services.leaderboard.rules.places import MAIN, MAIN_RANKED
from services.leaderboard.rules.ranking import Aggregate, Count
from services.leaderboard.standings import rendering


class Writes:
    """The board as it is written. How it is read is in reads.py."""

    def __init__(
        self,
        database: Database,
        limit: SubmissionLimit,
        writer: Writer,
        players: PlayerWriter,
        reads: Reads,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._limit = limit
        self._writer = writer
        self._players = players
        self._reads = reads
        self._clock = clock
        self._max_score: int | None = None

    async def submit(self, player: Principal, score: int, key: str | None) -> tuple[bytes, bool]:
        """Store a session and count it; what the player sent before with the same ``key`` is the same session.

        Gives the answer as JSON (`SubmittedSession`), and whether the session was stored before. Raises InvalidRequest when
        the board does not take such a score, TooManySubmissions, TotalTooLarge, KeyReused, SessionErased, QueueFull and
        ServiceUnavailable.
        """
        if self._max_score is None:
            async with self._database.reading() as connection:
                self._max_score = await definitions.get_max_score(connection, MAIN.board_id)
        if score > self._max_score:
            detail = f"this board takes scores up to {self._max_score}"
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/score")])
        submission_key = submission_keys.make() if key is None else submission_keys.of_client(key)
        counts = [Count(MAIN_RANKED, Aggregate.TOTAL, score)]
        submission = Submission(player.user_id, player.username, submission_key, score, self._clock(), counts)
        counted = await self._limit.admit(submission)
        try:
            submitted = await self._writer.submit(submission)
        except Exception:
            if counted:
                self._limit.give_back(submission)
            raise
        if counted and submitted.replayed:
            self._limit.give_back(submission)
        main = next(rank for rank in submitted.ranks if rank.at == MAIN)
        return rendering.submitted(player, submitted.session_id, main.score or 0, main.rank), submitted.replayed

    async def rename(self, player: Principal) -> bytes:
        """Show a player by the name that their token carries. Gives their rank (`OwnRank`). Raises ServiceUnavailable."""
        await self._players.rename(player)
        return await self._reads.own_rank(player)

    async def remove(self, player: Principal) -> None:
        """Erase a player's name and sessions, and take them off the board. Raises ServiceUnavailable."""
        await self._players.remove(player.user_id)
