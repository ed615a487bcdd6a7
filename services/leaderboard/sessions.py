"""All SQL of game sessions: a group of them stored and counted, in one transaction.

Written as text rather than built: SQLAlchemy compiles an INSERT of many rows anew for each number of rows, which costs more
than MySQL does. Values are always bound.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard import ranking
from services.leaderboard.ranking import Session
from services.leaderboard.repository import BoardPeriod

# Of no effect on a row that is there. Nor does it raise 1062, for which a whole group would have to be run again.
_ADD_SESSIONS = """
INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES {rows}
ON DUPLICATE KEY UPDATE id = id"""
_LIST_SESSIONS = """
SELECT s.user_id, s.submission_key, s.id, s.group_id, s.score, p.username
FROM game_sessions AS s LEFT JOIN players AS p ON p.user_id = s.user_id
WHERE (s.user_id, s.submission_key) IN ({rows})"""
_KEEP_PLAYERS = """
INSERT INTO players (user_id, username) VALUES {rows}
ON DUPLICATE KEY UPDATE username = {new_username}"""
# `ranking.merge`, under the row's lock. MySQL assigns from left to right and reads what it has assigned, so the score comes
# after all that reads it.
_COUNT_SESSIONS = """
INSERT INTO standings (board_id, period_id, user_id, score, sessions, reached_session_id, version) VALUES {rows}
ON DUPLICATE KEY UPDATE
reached_session_id = CASE
  WHEN standings.score IS NULL THEN {new_reached_session_id}
  WHEN {new_score} = 0 AND standings.score = 0 THEN LEAST(standings.reached_session_id, {new_reached_session_id})
  WHEN {new_score} = 0 THEN standings.reached_session_id
  WHEN standings.score = 0 THEN {new_reached_session_id}
  ELSE GREATEST(standings.reached_session_id, {new_reached_session_id})
END,
sessions = IF(standings.score IS NULL, {new_sessions}, standings.sessions + {new_sessions}),
version = standings.version + 1,
score = COALESCE(standings.score, 0) + {new_score}"""
_LIST_STANDINGS = """
SELECT s.user_id, p.username, s.score, s.reached_session_id, s.version
FROM standings AS s JOIN players AS p ON p.user_id = s.user_id
WHERE s.board_id = %s AND s.period_id = %s AND s.user_id IN ({rows})"""
_NOTE = "INSERT INTO outbox (changed) VALUES (%s)"
_COUNT_AHEAD = "SELECT %s, COUNT(*) FROM standings WHERE board_id = %s AND period_id = %s AND score > %s AND user_id <> %s"

# By whether it is MariaDB: what follows the rows of an upsert, and how it then calls the value of a new row's column.
_NEW_ROW = {True: ("", "VALUES({})"), False: (" AS new", "new.{}")}


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """A session that a player asks to be stored. With the same player and key it is the same one, however often it is sent."""

    user_id: int
    username: str
    key: bytes
    score: int
    submitted_at: datetime

    @property
    def identity(self) -> tuple[int, bytes]:
        return self.user_id, self.key


@dataclass(frozen=True, slots=True)
class Change:
    """A standing as a commit left it, which is all that the ranking index holds of a player. Removed, the score is None."""

    user_id: int
    username: str
    score: int | None
    reached_session_id: int
    version: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A session as it is stored now, and its player's standing. ``replayed``: it was stored before this submission came."""

    session_id: int
    score: int
    replayed: bool
    standing: Change


class TotalsTooLarge(Exception):
    """With the submissions in ``totals`` a player's total would leave the range; it maps each to the total it would give."""

    def __init__(self, totals: dict[Submission, int]) -> None:
        super().__init__(f"{len(totals)} totals would be too large")
        self.totals = totals


async def store(
    connection: AsyncConnection, at: BoardPeriod, group: Sequence[Submission], group_id: bytes, earlier: Collection[bytes]
) -> tuple[list[Stored], int | None]:
    """Store ``group``, in which no session is twice, and count what is new of it.

    Gives each session as it is stored now, and the outbox's note of what changed, None when nothing did. What has our
    ``group_id`` afterwards is new. ``earlier``: ids under which this group was tried before, with an unknown outcome; what
    has one of them is stored and counted, since a transaction commits whole. All else are replays.

    Raises TotalsTooLarge, after which the transaction must be rolled back.
    """
    await _write(
        connection, _ADD_SESSIONS, [(each.user_id, each.key, group_id, each.score, _utc(each.submitted_at)) for each in group]
    )
    # By reading them, never from the first id and the number of rows: others insert at the same time.
    sessions: dict[tuple[int, bytes], tuple[Session, bytes]] = {}
    names: dict[int, str | None] = {}
    listed = await _read(connection, _LIST_SESSIONS, [each.identity for each in group])
    for user_id, key, session_id, stored_by, score, username in listed:
        sessions[user_id, key] = Session(session_id, score), stored_by
        names[user_id] = username
    added: dict[int, list[tuple[Submission, Session]]] = {}
    for each in group:
        session, stored_by = sessions[each.identity]
        if stored_by == group_id:
            added.setdefault(each.user_id, []).append((each, session))
    # In the order of the primary key, so that two groups never wait for each other.
    players = sorted(added)
    if players:
        last = {user_id: added[user_id][-1][0].username for user_id in players}
        if renamed := [(user_id, name) for user_id, name in last.items() if name != names[user_id]]:
            await _write(connection, _KEEP_PLAYERS, renamed)
        await _write(connection, _COUNT_SESSIONS, [_tally(at, user_id, added[user_id]) for user_id in players])
    standings = await _list_standings(connection, at, {each.user_id for each in group})
    note = None
    if players:
        _require_exact(added, standings)
        changed = json.dumps([[*_place(at), user_id] for user_id in players])
        note = (await connection.exec_driver_sql(_NOTE, (changed,))).lastrowid
    stored = []
    for each in group:
        session, stored_by = sessions[each.identity]
        replayed = stored_by != group_id and stored_by not in earlier
        stored.append(Stored(session.session_id, session.score, replayed, standings[each.user_id]))
    return stored, note


async def count_ahead_of_each(connection: AsyncConnection, at: BoardPeriod, scores: Mapping[int, int]) -> dict[int, int]:
    """How many others are strictly ahead of each player with this score, all at one moment.

    Others: the player's own total may have grown since, and nobody is ahead of themselves.
    """
    counted = [(user_id, *_place(at), score, user_id) for user_id, score in scores.items()]
    if not counted:
        return {}
    statement = " UNION ALL ".join([_COUNT_AHEAD] * len(counted))
    rows: Sequence[tuple[Any, ...]] = (await connection.exec_driver_sql(statement, _flat(counted))).all()
    return {row[0]: row[1] for row in rows}


def _tally(at: BoardPeriod, user_id: int, added: Iterable[tuple[Submission, Session]]) -> tuple[int, ...]:
    """The standing's row, if it were the player's first."""
    tally = ranking.fold(session for _, session in added)
    assert tally is not None
    return *_place(at), user_id, tally.score, tally.sessions, tally.reached_session_id, 1


def _require_exact(added: dict[int, list[tuple[Submission, Session]]], standings: dict[int, Change]) -> None:
    """Raise TotalsTooLarge unless every total can be counted exactly: first come, first counted."""
    totals: dict[Submission, int] = {}
    for user_id, sessions in added.items():
        after = standings[user_id].score
        assert after is not None  # counted just now, under the lock that this transaction holds
        if after <= ranking.MAX_TOTAL:
            continue
        total = after - sum(session.score for _, session in sessions)
        for submission, session in sessions:
            if total + session.score > ranking.MAX_TOTAL:
                totals[submission] = total + session.score
            else:
                total += session.score
    if totals:
        raise TotalsTooLarge(totals)


async def _list_standings(connection: AsyncConnection, at: BoardPeriod, players: Collection[int]) -> dict[int, Change]:
    rows = await _read(connection, _LIST_STANDINGS, [(user_id,) for user_id in sorted(players)], _place(at))
    return {row[0]: Change(*row) for row in rows}


async def _write(connection: AsyncConnection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    is_mariadb: bool = getattr(connection.dialect, "is_mariadb")  # noqa: B009 - the base class of dialects does not tell
    row, column = _NEW_ROW[is_mariadb]
    # What MySQL deprecates in an upsert, VALUES(), is what MariaDB knows.
    new = {f"new_{name}": column.format(name) for name in ("username", "score", "sessions", "reached_session_id")}
    await connection.exec_driver_sql(statement.format(rows=_placeholders(rows) + row, **new), _flat(rows))


async def _read(
    connection: AsyncConnection, statement: str, rows: Sequence[tuple[Any, ...]], before: tuple[Any, ...] = ()
) -> Sequence[tuple[Any, ...]]:
    result = await connection.exec_driver_sql(statement.format(rows=_placeholders(rows)), before + _flat(rows))
    return result.all()


def _placeholders(rows: Sequence[tuple[Any, ...]]) -> str:
    row = f"({','.join(['%s'] * len(rows[0]))})"
    return ",".join([row] * len(rows))


def _flat(rows: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(value for row in rows for value in row)


def _place(at: BoardPeriod) -> tuple[int, int]:
    return at.board_id, at.period_id


def _utc(time: datetime) -> datetime:
    """As the driver takes it: UTC without saying so."""
    return time.astimezone(UTC).replace(tzinfo=None)
