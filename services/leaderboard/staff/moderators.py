"""The use cases of staff: judging sessions, banning and unbanning players, reading what was played, what is held and what was
done.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from services.common.mysql.database import Database
from services.leaderboard.boards.places import Places
from services.leaderboard.cursors import ID, Listing
from services.leaderboard.log.holds import EVERY_BOARD
from services.leaderboard.moderation import bans, entries, reviews, sessions
from services.leaderboard.moderation.entries import Entry, Order
from services.leaderboard.moderation.reviews import QueuedSession
from services.leaderboard.moderation.sessions import SessionChange, StoredSession
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.reads import Reads
from services.leaderboard.rules.places import ALL_TIME, Place
from services.leaderboard.rules.played import SessionState
from services.leaderboard.rules.standings import PlaceRank
from services.leaderboard.standings import table
from services.leaderboard.standings.rendering import RankedIn

_POSITION = rf"(?:0|[1-9][0-9]{{0,8}})-{ID}"


class JudgedSession(NamedTuple):
    """A session, and how its player stands now in each place where it counts or would."""

    session_id: int
    user_id: int
    username: str
    voided: bool
    held: bool
    standings: Sequence[RankedIn]


class JudgedPlayer(NamedTuple):
    """A player, and how they stand now in every place that goes on. Without a name, nothing is kept of them but the ban."""

    user_id: int
    username: str
    banned_at: datetime | None
    standings: Sequence[RankedIn]


class PlayersSessions(NamedTuple):
    """A page of a player's sessions, newest first, and the names of the boards and windows where they count."""

    username: str
    banned_at: datetime | None
    sessions: Sequence[StoredSession]
    names: Mapping[Place, tuple[str, str]]
    next_cursor: str | None


class Queue(NamedTuple):
    """A page of the sessions that somebody is to look at, what their reporters say, and the names of boards, by their ids."""

    sessions: Sequence[QueuedSession]
    reasons: Mapping[int, Sequence[str]]
    boards: Mapping[int, str]
    next_cursor: str | None


class EntriesPage(NamedTuple):
    """What was done, newest first, and the cursor of the next page."""

    entries: Sequence[Entry]
    next_cursor: str | None


class Moderators:
    """What staff, and keys that may, do about what others played.

    Each change is committed, and the indexes have heard of it, before it is answered. ``snapshots`` gives each connection one
    snapshot.
    """

    def __init__(self, players: PlayerWriter, places: Places, reads: Reads, snapshots: Database) -> None:
        self._players = players
        self._places = places
        self._reads = reads
        self._snapshots = snapshots

    async def void(self, session_id: int, order: Order) -> JudgedSession:
        """Have a session count nowhere. Raises SessionNotFound and ServiceUnavailable."""
        work = partial(sessions.set_state, session_id=session_id, state=SessionState.VOIDED, order=order)
        return await self._judged_session(session_id, await self._players.change(work))

    async def restore(self, session_id: int, order: Order) -> JudgedSession:
        """Have a voided session count again where it did. Raises SessionNotFound, TotalTooLarge and ServiceUnavailable."""
        work = partial(sessions.set_state, session_id=session_id, state=SessionState.COUNTED, order=order)
        return await self._judged_session(session_id, await self._players.change(work))

    async def approve(self, session_id: int, order: Order) -> JudgedSession:
        """Have a session that is held count, and take it out of the queue.

        Raises SessionNotFound, SessionVoided, TotalTooLarge and ServiceUnavailable.
        """
        work = partial(sessions.approve, session_id=session_id, order=order)
        return await self._judged_session(session_id, await self._players.change(work))

    async def ban(self, user_id: int, order: Order) -> JudgedPlayer:
        """Hide a player from every board. Raises PlayerNotFound and ServiceUnavailable."""
        changed = await self._players.change(partial(bans.ban, user_id=user_id, order=order))
        return await self._judged(changed)

    async def unban(self, user_id: int, order: Order) -> JudgedPlayer:
        """Show a player again, with what they played meanwhile. Raises PlayerNotFound, TotalTooLarge and ServiceUnavailable."""
        changed = await self._players.change(partial(bans.unban, user_id=user_id, order=order))
        return await self._judged(changed)

    async def sessions(self, user_id: int, limit: int, cursor: str | None) -> PlayersSessions:
        """A page of what a player has played. Raises InvalidRequest when the cursor is not one of this list."""
        listing = Listing("ps1", ID, (user_id,))
        before = listing.decode_id(cursor)
        async with self._snapshots.reading() as connection:
            player = await bans.find(connection, user_id)
            rows = await sessions.list_sessions(connection, user_id, before, limit + 1)
        page, next_cursor = listing.cut(rows, limit, lambda each: each.session_id)
        names = {at: await self._places.names(at) for at in sorted({at for each in page for at in each.places})}
        name, banned_at = (player.username, player.banned_at) if player else ("", None)
        return PlayersSessions(name, banned_at, page, names, next_cursor)

    async def queue(self, name: str | None, limit: int, cursor: str | None) -> Queue:
        """A page of the sessions that are held or reported, on a board or on any: the most reported first, then the oldest.

        Raises BoardNotFound, and InvalidRequest, as above.
        """
        board_id = EVERY_BOARD if name is None else (await self._places.board(name)).board_id
        listing = Listing("h1", _POSITION, () if name is None else (name,))
        after = None if cursor is None else _position(listing.decode(cursor))
        async with self._snapshots.reading() as connection:
            rows = await reviews.list_queued(connection, board_id, after, limit + 1)
            page, next_cursor = listing.cut(rows, limit, lambda each: "{}-{}".format(*each.position))
            reasons = await reviews.list_reasons(connection, [each.session_id for each in page if each.reports])
        boards = {at.board_id for each in page for at in each.places}
        names = {each: (await self._places.names(Place(each, ALL_TIME)))[0] for each in sorted(boards)}
        return Queue(page, reasons, names, next_cursor)

    async def entries(self, user_id: int | None, limit: int, cursor: str | None) -> EntriesPage:
        """A page of what was done, about a player or about anybody. Raises InvalidRequest, as above."""
        listing = Listing("m1", ID, () if user_id is None else (user_id,))
        before = listing.decode_id(cursor)
        async with self._snapshots.reading() as connection:
            rows = await entries.list_entries(connection, user_id, before, limit + 1)
        return EntriesPage(*listing.cut(rows, limit, lambda each: each.entry_id))

    async def _judged_session(self, session_id: int, changed: SessionChange) -> JudgedSession:
        if changed.pending:
            await self._players.fold(changed.user_id)
        async with self._snapshots.reading() as connection:
            scores = await table.list_scores(connection, changed.user_id, changed.places)
        standings = await self._rank(changed.user_id, changed.places, scores)
        voided, held = changed.state is SessionState.VOIDED, changed.state is SessionState.HELD
        return JudgedSession(session_id, changed.user_id, changed.username, voided, held, standings)

    async def _judged(self, changed: bans.BanChange) -> JudgedPlayer:
        user_id, username, banned_at = changed.player
        if changed.pending:
            await self._players.fold(user_id)
        async with self._snapshots.reading() as connection:
            scores = await table.list_current(connection, user_id)
        return JudgedPlayer(user_id, username, banned_at, await self._rank(user_id, list(scores), scores))

    async def _rank(self, user_id: int, places: Sequence[Place], scores: Mapping[Place, int]) -> Sequence[RankedIn]:
        """How a player stands in these places, with these scores. Places that are gone are left out."""
        known = await self._places.ranked(places)
        ranks = await self._reads.ranks_of(user_id, {known[at]: score for at, score in scores.items() if at in known})
        found: list[RankedIn] = []
        for at in places:
            if at in known:
                rank, total_players = ranks.get(at, (None, None))
                place = PlaceRank(at, scores.get(at), rank, total_players, improved=False)
                found.append(RankedIn(*await self._places.names(at), place))
        return found


def _position(text: str) -> tuple[int, int]:
    reports, _, session_id = text.partition("-")
    return int(reports), int(session_id)
