"""The use cases that write the board: submitting a game session; a player's new name; a player who leaves."""

from collections.abc import Callable
from datetime import datetime

from services.common.http.problems import InvalidRequest
from services.common.tokens import Principal
from services.leaderboard.boards.places import Places
from services.leaderboard.log import submission_keys
from services.leaderboard.log.limits import SubmissionLimit
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import Writer
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.reads import Reads
from services.leaderboard.rules.places import MAIN_RANKED
from services.leaderboard.rules.played import Played
from services.leaderboard.standings import rendering
from services.leaderboard.standings.rendering import RankedIn


class Writes:
    """The boards as they are written. How they are read is in reads.py. ``clock`` is MySQL's, as this process knows it."""

    def __init__(
        self,
        places: Places,
        limit: SubmissionLimit,
        writer: Writer,
        players: PlayerWriter,
        reads: Reads,
        clock: Callable[[], datetime],
    ) -> None:
        self._places = places
        self._limit = limit
        self._writer = writer
        self._players = players
        self._reads = reads
        self._clock = clock

    async def submit(self, player: Principal, played: Played, key: str | None) -> tuple[bytes, bool]:
        """Store a session and count it; what the player sent before with the same ``key`` is the same session.

        Gives the answer as JSON (`SubmittedSession`), and whether the session was stored before. Raises InvalidRequest when a
        board does not take it, Unauthenticated when the player's account has ended, PlayerBanned, TooManySubmissions,
        TotalTooLarge, KeyReused, SessionErased, QueueFull and ServiceUnavailable.
        """
        time = self._clock()
        submission_key = submission_keys.make() if key is None else submission_keys.of_client(key)
        try:
            counts = await self._places.counts(played, time)
        except InvalidRequest:
            # What is stored counts where it did, whatever its boards take by now.
            if not await self._limit.is_stored(player.user_id, submission_key):
                raise
            counts = []
        submission = Submission(player.user_id, player.username, submission_key, played, time, counts)
        counted = await self._limit.admit(submission)
        try:
            submitted = await self._writer.submit(submission)
        except Exception:
            if counted:
                self._limit.give_back(submission)
            raise
        if counted and submitted.replayed:
            self._limit.give_back(submission)
        standings = [RankedIn(*await self._places.names(rank.at), rank) for rank in submitted.ranks]
        return rendering.submitted(player, submitted.session_id, standings), submitted.replayed

    async def rename(self, player: Principal) -> bytes:
        """Show a player by the name that they have. Gives their rank (`OwnRank`). Raises ServiceUnavailable."""
        await self._players.rename(player.user_id, player.username)
        return await self._reads.own_rank(MAIN_RANKED, player)

    async def remove(self, player: Principal) -> None:
        """Erase a player's name and sessions, and take them off every board. Raises ServiceUnavailable."""
        await self._players.remove(player.user_id)
