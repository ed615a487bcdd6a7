"""SQL of what is exported: standings in the order of their board, and sessions in the order of the log, so many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Text, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Board, GameSession, Player, SessionExtra, Standing
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import End
from services.leaderboard.standings.queries import at_place

AT_ONCE = 1000
"""Rows that one statement reads: the process does nothing else while it writes them down, some 10 ms."""


class StandingRecord(NamedTuple):
    """A standing, and by what it is ordered."""

    user_id: int
    username: str
    score: int
    sessions: int
    sort: int
    reached_session_id: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions: a player's, and those that were submitted from one time on and before another; None: whoever's, ever."""

    user_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


SessionRow = Row[
    int, int, str | None, int, bytes, datetime, datetime | None, bytes | None, str | None, str | None, str | None, int
]


async def list_standings(connection: AsyncConnection, at: Place, after: End | None) -> list[StandingRecord]:
    """The next standings of a place, without those of players who were removed."""
    sort, reached = Standing.sort, Standing.reached_session_id
    page = select(Standing.user_id, Standing.score, Standing.sessions, sort, reached).where(*at_place(at), sort.is_not(None))
    if after is not None:
        page = page.where((sort > after.sort) | ((sort == after.sort) & (reached > after.reached_session_id)))
    some = page.order_by(sort, reached).limit(AT_ONCE).subquery()
    columns = some.c.user_id, Player.username, some.c.score, some.c.sessions, some.c.sort, some.c.reached_session_id
    named = select(*columns).join(Player, Player.user_id == some.c.user_id).order_by(some.c.sort, some.c.reached_session_id)
    return [StandingRecord(*row) for row in await connection.execute(named)]


async def find_last(connection: AsyncConnection, wanted: Wanted, after: int) -> int | None:
    """The last of the next sessions that are looked at, whether or not they are wanted. None: there is none.

    So no statement goes through more than so many rows, however few are wanted.
    """
    some = select(GameSession.id).where(GameSession.id > after, *_whose(wanted)).order_by(GameSession.id).limit(AT_ONCE)
    last: int | None = await connection.scalar(select(func.max(some.subquery().c.id)))
    return last


async def list_sessions(connection: AsyncConnection, wanted: Wanted, after: int, upto: int) -> Sequence[SessionRow]:
    """Those of the sessions after one and up to another that are wanted."""
    session = GameSession
    page = (
        select(
            session.id,
            session.user_id,
            Player.username,
            session.score,
            session.submission_key,
            session.submitted_at,
            session.played_at,
            session.places,
            type_coerce(session.metrics, Text()),
            type_coerce(session.tags, Text()),
            SessionExtra.extra,
            session.state,
        )
        .outerjoin(Player, Player.user_id == session.user_id)
        .outerjoin(SessionExtra, SessionExtra.session_id == session.id)
        .where(session.id > after, session.id <= upto, *_whose(wanted))
        .order_by(session.id)
    )
    if wanted.since is not None:
        page = page.where(session.submitted_at >= wanted.since)
    if wanted.until is not None:
        page = page.where(session.submitted_at < wanted.until)
    return (await connection.execute(page)).all()


async def list_board_names(connection: AsyncConnection) -> dict[int, str]:
    """What boards are called, by their ids."""
    rows: Any = await connection.execute(select(Board.id, Board.name))
    return dict(rows.all())


def _whose(wanted: Wanted) -> tuple[ColumnElement[bool], ...]:
    return () if wanted.user_id is None else (GameSession.user_id == wanted.user_id,)
