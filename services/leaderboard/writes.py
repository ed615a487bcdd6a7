"""The use cases that write the board: submitting a game session; reporting one; a player's new name; a player who leaves."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from services.common.http.problems import FieldError, InvalidRequest
from services.common.tokens import Caller, KeyPrincipal, Principal
from services.leaderboard.boards.board import Submitters
from services.leaderboard.boards.places import Places
from services.leaderboard.errors import NotForPlayers
from services.leaderboard.log import submission_keys
from services.leaderboard.log.limits import SubmissionLimit
from services.leaderboard.log.sessions import Submission
from services.leaderboard.log.writer import Writer
from services.leaderboard.moderation import reports
from services.leaderboard.players.lookups import AccountLookups
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.reads import Reads
from services.leaderboard.rules.places import MAIN_RANKED
from services.leaderboard.rules.played import AHEAD, Played
from services.leaderboard.standings import rendering
from services.leaderboard.standings.rendering import RankedIn


class _Player(NamedTuple):
    """Whose session is submitted, and by whom."""

    user_id: int
    username: str
    by: Submitters


class Writes:
    """The boards as they are written. How they are read is in reads.py. ``clock`` is MySQL's, as this process knows it."""

    def __init__(
        self,
        places: Places,
        limit: SubmissionLimit,
        writer: Writer,
        players: PlayerWriter,
        accounts: AccountLookups,
        reads: Reads,
        clock: Callable[[], datetime],
    ) -> None:
        self._places = places
        self._limit = limit
        self._writer = writer
        self._players = players
        self._accounts = accounts
        self._reads = reads
        self._clock = clock

    async def submit(self, caller: Caller, user_id: int | None, played: Played, key: str | None) -> tuple[bytes, bool]:
        """Store a session and count it: of the user who calls, or of user ``user_id`` if a game server's key does.

        What was sent before for the same player with the same ``key`` is the same session; what game servers send, and what
        players do, never is. Gives the answer as JSON (`SubmittedSession`), and whether the session was stored before.

        Raises NotForPlayers when a player says what only a game server may, or names a board that only they submit to;
        UnknownUser; InvalidRequest when a board does not take it; Unauthenticated when the player's account has ended,
        PlayerBanned, TooManySubmissions, TotalTooLarge, KeyReused, SessionErased, QueueFull and ServiceUnavailable.
        """
        time = self._clock()
        player = await self._player(caller, user_id, played, time)
        submission_key = _submission_key(player.by, key)
        try:
            counts = await self._places.counts(played, time, player.by)
        except (InvalidRequest, NotForPlayers):
            # What is stored counts where it did, whatever its boards take by now.
            if not await self._limit.is_stored(player.user_id, submission_key):
                raise
            counts = []
        submission = Submission(player.user_id, player.username, submission_key, played, time, counts, by=player.by)
        counted = player.by == "players" and await self._limit.admit(submission)
        try:
            submitted = await self._writer.submit(submission)
        except Exception:
            if counted:
                self._limit.give_back(submission)
            raise
        if counted and submitted.replayed:
            self._limit.give_back(submission)
        standings = [RankedIn(*await self._places.names(rank.at), rank) for rank in submitted.ranks]
        session_id, _, replayed, held = submitted
        return rendering.submitted(player.user_id, player.username, session_id, standings, held=held), replayed

    async def rename(self, player: Principal) -> bytes:
        """Show a player by the name that they have. Gives their rank (`OwnRank`). Raises ServiceUnavailable."""
        await self._players.rename(player.user_id, player.username)
        return await self._reads.own_rank(MAIN_RANKED, player)

    async def remove(self, player: Principal) -> None:
        """Erase a player's name and sessions, and take them off every board. Raises ServiceUnavailable."""
        await self._players.remove(player.user_id)

    async def report(self, player: Principal, session_id: int, reason: str | None) -> None:
        """Have somebody look at a session of another player's.

        Raises SessionNotFound, OwnSession, TooManyReports, Unauthenticated when the caller's account has ended, and
        ServiceUnavailable.
        """
        work = partial(reports.add, user_id=player.user_id, session_id=session_id, reason=reason)
        await self._players.change(work)

    async def _player(self, caller: Caller, user_id: int | None, played: Played, now: datetime) -> _Player:
        if isinstance(caller, KeyPrincipal):
            if user_id is None:
                raise _fault("A game server says whose session it submits.", "user_id")
            require_played(played, now)
            account = await self._accounts.get(user_id)
            return _Player(user_id, account.username, "servers")
        said = [name for name, value in (("user_id", user_id), ("played_at", played.played_at)) if value is not None]
        if said:
            errors = [FieldError(detail="Only game servers say this, with a key.", pointer=f"#/{name}") for name in said]
            raise NotForPlayers(f"Only game servers say {' and '.join(said)}, with a key.", errors=errors)
        return _Player(caller.user_id, caller.username, "players")


def require_played(played: Played, now: datetime) -> None:
    """Raise InvalidRequest if a game server says that a session is of a time to come."""
    if played.played_at is not None and played.played_at > now + AHEAD:
        raise _fault("The session is of a time to come.", "played_at")


def _submission_key(by: Submitters, name: str | None) -> bytes:
    if name is None:
        return submission_keys.make()
    return submission_keys.of_game_server(name) if by == "servers" else submission_keys.of_client(name)


def _fault(detail: str, member: str) -> InvalidRequest:
    return InvalidRequest(detail, errors=[FieldError(detail=detail, pointer=f"#/{member}")])
