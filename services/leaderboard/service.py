"""The use case that writes the board: submitting a game session."""

from collections.abc import Callable
from datetime import datetime

from services.common.database import Database
from services.common.problems import FieldError, InvalidRequest
from services.common.tokens import Principal
from services.leaderboard import repository, submission_keys
from services.leaderboard.rankings import MAIN
from services.leaderboard.schemas import SubmittedSession
from services.leaderboard.sessions import Submission
from services.leaderboard.writer import Writer


class LeaderboardService:
    """The board as it is written. How it is read is in rankings.py."""

    def __init__(self, writes: Database, writer: Writer, clock: Callable[[], datetime]) -> None:
        self._writes = writes
        self._writer = writer
        self._clock = clock
        self._max_score: int | None = None

    async def submit(self, player: Principal, score: int, key: str | None) -> tuple[bytes, bool]:
        """Store a session and count it; what the player sent before with the same ``key`` is the same session.

        Gives the answer as JSON (`SubmittedSession`), and whether the session was stored before. Raises InvalidRequest when
        the board does not take such a score, TotalTooLarge, KeyReused, SessionErased, QueueFull and ServiceUnavailable.
        """
        if self._max_score is None:
            async with self._writes.reading() as connection:
                self._max_score = await repository.get_max_score(connection, MAIN.board_id)
        if score > self._max_score:
            detail = f"this board takes scores up to {self._max_score}"
            raise InvalidRequest(detail, errors=[FieldError(detail=detail, pointer="#/score")])
        submission_key = submission_keys.make() if key is None else submission_keys.of_client(key)
        submitted = await self._writer.submit(Submission(player.user_id, player.username, submission_key, score, self._clock()))
        answer = SubmittedSession(
            session_id=submitted.session_id,
            user_id=player.user_id,
            username=player.username,
            total_score=submitted.total_score,
            rank=submitted.rank,
        )
        return answer.model_dump_json().encode(), submitted.replayed
