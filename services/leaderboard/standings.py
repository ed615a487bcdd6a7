"""SQL that reads standings: pages, ranks and neighbours, and the rows that the ranking index is made of. And own sessions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Erasure, GameSession, Player, Standing
from services.leaderboard.ranking import Tally
from services.leaderboard.repository import BoardPeriod, PlayerScore
from services.leaderboard.sessions import STANDING_TEXT, Change


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Players in board order, how many stand before the first of them, and how many of those are strictly ahead of it."""

    players: list[PlayerScore]
    offset: int
    ahead: int


async def list_rows(connection: AsyncConnection, at: BoardPeriod, user_ids: Collection[int]) -> list[Change]:
    """The standings of these players, removed ones too."""
    return await _rows(connection, _ROW.where(*_at(at), Standing.user_id.in_(sorted(user_ids))))


async def scan_rows(connection: AsyncConnection, at: BoardPeriod, after: int, limit: int) -> list[Change]:
    """The next standings by primary key after a player, removed ones too: a page of a pass over all of them.

    In one value, a line each: the driver takes longer for a row than MySQL does.
    """
    rows = await connection.exec_driver_sql(_SCAN, (at.board_id, at.period_id, after, limit))
    row: tuple[str | None, int] = tuple(rows.one())
    text, count = row
    changes = []
    for line in text.split("\n") if text else []:
        user, standing = line.split(" ", 1)
        changes.append(Change.parse(int(user), standing))
    if len(changes) != count:
        raise RuntimeError(f"{len(changes)} standings of {count}")  # a server may cut short what is longer than it allows
    changes.sort(key=attrgetter("user_id"))
    return changes


async def scan_tallies(
    connection: AsyncConnection, at: BoardPeriod, after: int, limit: int
) -> list[tuple[Change, Tally | None]]:
    """As ``scan_rows``, each with what it says of its sessions; nothing if the player was removed."""
    statement = _ROW.add_columns(Standing.sessions).where(*_at(at), Standing.user_id > after)
    found = []
    for *values, sessions in await connection.execute(statement.order_by(Standing.user_id).limit(limit)):
        row = Change(*values)
        found.append((row, None if row.score is None else Tally(row.score, sessions, row.reached_session_id)))
    return found


async def fold_sessions(connection: AsyncConnection, after: int, upto: int) -> dict[int, Tally]:
    """What `ranking.fold` makes of the sessions of every player after one and up to another, but for those being erased."""
    session = GameSession
    statement = (
        _FOLD.outerjoin(Erasure, Erasure.user_id == session.user_id)
        .where(session.user_id > after, session.user_id <= upto)
        .where(Erasure.user_id.is_(None) | (session.id > Erasure.upto_session_id))
    )
    return _tallies(await connection.execute(statement))


async def fold_later_sessions(connection: AsyncConnection, user_id: int, after_session_id: int) -> Tally | None:
    """What `ranking.fold` makes of a player's sessions after one, reading no others."""
    statement = _FOLD.where(GameSession.user_id == user_id, GameSession.id > after_session_id)
    return _tallies(await connection.execute(statement)).get(user_id)


async def count_erasures(connection: AsyncConnection, after: int, upto: int) -> int:
    """How many players after one and up to another have sessions that are being erased."""
    pending = select(func.count()).select_from(Erasure).where(Erasure.user_id > after, Erasure.user_id <= upto)
    return (await connection.execute(pending)).scalar_one()


async def list_scores(connection: AsyncConnection, at: BoardPeriod, user_ids: Collection[int]) -> list[PlayerScore]:
    """Names and scores of those of these players who are ranked."""
    statement = (
        select(Standing.user_id, Player.username, Standing.score)
        .join(Player, Player.user_id == Standing.user_id)
        .where(*_at(at), Standing.user_id.in_(sorted(user_ids)), Standing.score.is_not(None))
    )
    return _players(await connection.execute(statement))


async def count_ahead(connection: AsyncConnection, at: BoardPeriod, score: int) -> int:
    """How many players are strictly ahead of ``score``."""
    return await _count(connection, *_at(at), Standing.score > score)


async def count_players(connection: AsyncConnection, at: BoardPeriod) -> int:
    """How many players are ranked."""
    return await _count(connection, *_at(at), Standing.score.is_not(None))


async def count_rows(connection: AsyncConnection, at: BoardPeriod) -> int:
    """How many standings there are, removed players' too."""
    return await _count(connection, *_at(at))


async def list_page(connection: AsyncConnection, at: BoardPeriod, limit: int, offset: int) -> list[PlayerScore]:
    """Players in board order. The order's index alone finds them; only their names are looked up in `players`."""
    page = (
        _PLACE.where(*_at(at), Standing.score.is_not(None))
        .order_by(Standing.score.desc(), Standing.reached_session_id)
        .limit(limit)
        .offset(offset)
        .subquery()
    )
    statement = (
        select(page.c.user_id, Player.username, page.c.score)
        .join(Player, Player.user_id == page.c.user_id)
        .order_by(page.c.score.desc(), page.c.reached_session_id)
    )
    return _players(await connection.execute(statement))


async def find_neighbours(connection: AsyncConnection, at: BoardPeriod, user_id: int, radius: int) -> Neighbours | None:
    """A player between up to ``radius`` others on either side, or None if they never played or were removed.

    Those of the same score and those of another are read apart: each is then one range of the order's index, and not more
    of it is read than is shown, however many share a score.
    """
    found = await connection.execute(_PLACE.where(*_at(at), Standing.user_id == user_id, Standing.score.is_not(None)))
    own = found.one_or_none()
    if own is None:
        return None
    better, worse = Standing.score > own.score, Standing.score < own.score
    earlier, later = (
        (Standing.score == own.score) & each
        for each in (Standing.reached_session_id < own.reached_session_id, Standing.reached_session_id > own.reached_session_id)
    )
    before = await _nearest(connection, at, (earlier, better), radius, upwards=True)
    after = await _nearest(connection, at, (later, worse), radius, upwards=False)
    rows = [*reversed(before), own, *after]
    named = {player.user_id: player for player in await list_scores(connection, at, [row.user_id for row in rows])}
    players = [named[row.user_id] for row in rows]
    place = await _count(connection, *_at(at), better) + await _count(connection, *_at(at), earlier)
    return Neighbours(players, place - len(before), await count_ahead(connection, at, players[0].score))


async def list_own_sessions(
    connection: AsyncConnection, user_id: int, before: int | None, limit: int
) -> "Sequence[Row[int, int, datetime]]":
    """A player's sessions, newest first, from before a session on."""
    statement = select(GameSession.id, GameSession.score, GameSession.submitted_at).where(GameSession.user_id == user_id)
    if before is not None:
        statement = statement.where(GameSession.id < before)
    return (await connection.execute(statement.order_by(GameSession.id.desc()).limit(limit))).all()


async def _nearest(
    connection: AsyncConnection, at: BoardPeriod, ranges: Sequence[ColumnElement[bool]], limit: int, *, upwards: bool
) -> list[Row[int, int | None, int]]:
    score, reached = Standing.score, Standing.reached_session_id
    order = (score.asc(), reached.desc()) if upwards else (score.desc(), reached.asc())
    rows: list[Row[int, int | None, int]] = []
    for each in ranges:
        if len(rows) < limit:
            rows += await connection.execute(_PLACE.where(*_at(at), each).order_by(*order).limit(limit - len(rows)))
    return rows


async def _rows(connection: AsyncConnection, statement: "Select[int, str, int | None, int, int]") -> list[Change]:
    return [Change(*row) for row in await connection.execute(statement)]


async def _count(connection: AsyncConnection, *where: ColumnElement[bool]) -> int:
    count: int = (await connection.execute(select(func.count()).select_from(Standing).where(*where))).scalar_one()
    return count


def _tallies(rows: "Iterable[Row[int, Any, int, int]]") -> dict[int, Tally]:
    return {user_id: Tally(int(score), sessions, reached) for user_id, score, sessions, reached in rows}


def _players(rows: object) -> list[PlayerScore]:
    return [PlayerScore(*row) for row in rows]  # type: ignore[attr-defined]


def _at(at: BoardPeriod) -> tuple[ColumnElement[bool], ...]:
    return Standing.board_id == at.board_id, Standing.period_id == at.period_id


_FOLD = select(
    GameSession.user_id,
    func.sum(GameSession.score),
    func.count(),
    func.coalesce(func.max(case((GameSession.score != 0, GameSession.id))), func.min(GameSession.id)),
).group_by(GameSession.user_id)
_PLACE = select(Standing.user_id, Standing.score, Standing.reached_session_id)
# A player whose account is gone has no name, and stays in the table all the same.
_ROW = select(
    Standing.user_id,
    func.coalesce(Player.username, ""),
    Standing.score,
    Standing.reached_session_id,
    Standing.version,
).outerjoin(Player, Player.user_id == Standing.user_id)
_SCAN = f"""
SELECT GROUP_CONCAT(CONCAT_WS(' ', t.user_id, {STANDING_TEXT}) SEPARATOR '\\n'), COUNT(*) FROM (
  SELECT user_id, score, reached_session_id, version FROM standings
  WHERE board_id = %s AND period_id = %s AND user_id > %s ORDER BY user_id LIMIT %s
) AS t LEFT JOIN players AS p ON p.user_id = t.user_id"""
