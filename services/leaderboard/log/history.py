"""SQL that reads the log: a player's sessions, and what they fold to."""

import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.log.places import on_board
from services.leaderboard.log.statements import literal
from services.leaderboard.models import Erasure, GameSession, Player
from services.leaderboard.rules import ranking
from services.leaderboard.rules.names import SCORE
from services.leaderboard.rules.places import MAIN, Place, unpack, unpack_kept
from services.leaderboard.rules.played import Played, SessionState
from services.leaderboard.rules.ranking import Counting, Tally

_Runs = dict[int, list[int]]
"""Of each player what counts in a place: a score, the session that it is of, the next score, and so on."""


class LoggedSession(NamedTuple):
    """A session as the log has it."""

    session_id: int
    score: int
    submitted_at: datetime
    voided: bool
    held: bool


_Countings = Mapping[int, tuple[str, Counting]]
"""By which metric, and how, boards count, by their ids."""


async def fold_sessions(
    connection: AsyncConnection, after: int, upto: int, boards: _Countings
) -> dict[Place, dict[int, Tally]]:
    """What the sessions of every player after one and up to another fold to, by place and player.

    Left out are sessions that are voided, held or being erased, those of banned players, and places of other boards than
    these: they are gone.
    """
    pending = select(Erasure.user_id, Erasure.upto_session_id).where(Erasure.user_id > after, Erasure.user_id <= upto)
    counts_after: dict[int, int] = {row.user_id: row.upto_session_id for row in await connection.execute(pending)}
    banned = select(Player.user_id).where(Player.user_id > after, Player.user_id <= upto, Player.banned_at.is_not(None))
    counts_after |= dict.fromkeys(await connection.scalars(banned), _LAST_ID)
    return await _fold_scanned(_scan(connection, (after, _LAST_ID), upto), counts_after, boards)


async def find_start(connection: AsyncConnection, user_id: int) -> int | None:
    """After which session those of a player count: after none, but for one whose sessions are being erased. None: banned."""
    banned = select(Player.banned_at.is_not(None)).where(Player.user_id == user_id).scalar_subquery()
    erased = select(Erasure.upto_session_id).where(Erasure.user_id == user_id).scalar_subquery()
    is_banned, upto = (await connection.execute(select(banned, erased))).one()
    return None if is_banned else upto or 0


async def list_places(connection: AsyncConnection, user_id: int, after: int) -> set[Place]:
    """The places that a player's sessions after one name."""
    session = GameSession
    packed = select(session.places).distinct().where(session.user_id == user_id, session.id > after)
    return {at for (each,) in await connection.execute(packed) for at in unpack_kept(each)}


async def fold_player(connection: AsyncConnection, user_id: int, after: int, boards: _Countings) -> dict[Place, Tally]:
    """What a player's sessions after one fold to, by place. They are locked, so it is of one moment."""
    folded = await _fold_scanned(_scan(connection, (user_id, after), user_id), {}, boards)
    return {at: by_player[user_id] for at, by_player in folded.items()}


_Scanned = AsyncGenerator[list[tuple[int, int, int, str, str]], None]
"""Player, id, score, places and metrics of sessions, by player and id: so many at once."""


async def _fold_scanned(
    scanned: _Scanned, counts_after: Mapping[int, int], boards: _Countings
) -> dict[Place, dict[int, Tally]]:
    runs: dict[Place, _Runs] = {}
    # Few places are written in many sessions. With each its metric, None for the score.
    counted: dict[str, list[tuple[str | None, _Runs]]] = {}
    async for sessions in scanned:
        for user_id, session_id, score, places, metrics in sessions:
            if session_id <= counts_after.get(user_id, 0):
                continue
            if places not in counted:
                ours = [at for at in (unpack(bytes.fromhex(places)) if places != "-" else [MAIN]) if at.board_id in boards]
                named = [(boards[at.board_id][0], runs.setdefault(at, {})) for at in ours]
                counted[places] = [(None if metric == SCORE else metric, by_player) for metric, by_player in named]
            for metric, by_player in counted[places]:
                value = score if metric is None else _value(session_id, score, metrics, metric)
                run = by_player.get(user_id)
                if run is None:
                    by_player[user_id] = [value, session_id]
                else:
                    run += value, session_id
    return {at: _fold(by_player, boards[at.board_id][1]) for at, by_player in runs.items()}


def _value(session_id: int, score: int, metrics: str, metric: str) -> int:
    value = Played(score, json.loads(metrics) if metrics != "-" else {}).value(metric)
    if value is None:
        raise ValueError(f"session {session_id} counts where the metric {metric} does, and has none")
    return value


def _fold(runs: _Runs, counting: Counting) -> dict[int, Tally]:
    return {user_id: ranking.fold_in_order(run[::2], run[1::2], counting) for user_id, run in runs.items()}


async def list_stored(connection: AsyncConnection, identities: Collection[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
    """Those of these submissions, each a player and a key, whose sessions are in the log."""
    session, keys = GameSession, dict[int, list[bytes]]()
    for user_id, key in identities:
        keys.setdefault(user_id, []).append(key)
    # Not a list of pairs, of which MariaDB makes a join when it is long.
    wanted = (and_(session.user_id == user_id, session.submission_key.in_(each)) for user_id, each in keys.items())
    rows = await connection.execute(select(session.user_id, session.submission_key).where(or_(*wanted)))
    return {(user_id, bytes(key)) for user_id, key in rows}


class StoredSaid(NamedTuple):
    """What a stored session said: its score, and what tells whether another says the same, None if only the score does."""

    score: int
    digest: bytes | None


async def list_said(
    connection: AsyncConnection, identities: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], StoredSaid]:
    """What those of these submissions said, each a player and a key, whose sessions are in the log."""
    if not identities:
        return {}
    keys = dict[int, list[str]]()
    for user_id, key in identities:
        keys.setdefault(user_id, []).append(literal(key))
    # As text: SQLAlchemy would compile as many conditions as there are players anew for each number of them.
    wanted = " OR ".join([f"(user_id = {user:d} AND submission_key IN ({','.join(each)}))" for user, each in keys.items()])
    rows: Any = await connection.exec_driver_sql(_LIST_SAID.format(wanted=wanted))
    return {(user_id, bytes(key)): StoredSaid(score, digest) for user_id, key, score, digest in rows}


class NewestSession(NamedTuple):
    """A session of whoever's, and what it said of itself."""

    session_id: int
    user_id: int
    username: str | None
    score: int
    metrics: Mapping[str, int] | None
    tags: Mapping[str, str] | None
    submitted_at: datetime
    played_at: datetime | None
    submission_key: bytes
    state: int


async def list_newest(connection: AsyncConnection, limit: int) -> list[NewestSession]:
    """The newest sessions of the log, newest first."""
    session = GameSession
    newest = (
        select(
            session.id,
            session.user_id,
            Player.username,
            session.score,
            session.metrics,
            session.tags,
            session.submitted_at,
            session.played_at,
            session.submission_key,
            session.state,
        )
        .outerjoin(Player, Player.user_id == session.user_id)
        .order_by(session.id.desc())
        .limit(limit)
    )
    return [NewestSession(*row) for row in await connection.execute(newest)]


async def list_own_sessions(connection: AsyncConnection, user_id: int, before: int | None, limit: int) -> list[LoggedSession]:
    """A player's sessions, newest first, from before a session on."""
    session = GameSession
    statement = select(session.id, session.score, session.submitted_at, session.state).where(session.user_id == user_id)
    if before is not None:
        statement = statement.where(session.id < before)
    rows = await connection.execute(statement.order_by(session.id.desc()).limit(limit))
    return [
        LoggedSession(session_id, score, at, state == SessionState.VOIDED, state == SessionState.HELD)
        for session_id, score, at, state in rows
    ]


LOOKED_AT_ONCE = 1_000
"""Sessions of a player that one page of those on a board looks at."""
COUNTED_AT_ONCE = 10_000
"""Sessions of a player that one statement counts."""


class Looked(NamedTuple):
    """What was found among a player's sessions, newest first, and the last one that was looked at: None if there is no more."""

    sessions: Sequence[LoggedSession]
    last: int | None


async def list_own_on_board(connection: AsyncConnection, user_id: int, board_id: int, before: int | None, limit: int) -> Looked:
    """A player's sessions that count on a board, or would once somebody has approved them, from before a session on.

    Looked at are `LOOKED_AT_ONCE` of them: no index has places, and all of a player's others may be of other boards.
    """
    before = _LAST_ID if before is None else before
    ids = (await connection.exec_driver_sql(_LOOK, (user_id, before, LOOKED_AT_ONCE - 1))).scalars().all()
    values = user_id, before, ids[0] if ids else 0, user_id, limit
    rows: Any = await connection.exec_driver_sql(_ON_BOARD.format(on_board=on_board(board_id)), values)
    found = [
        LoggedSession(session_id, score, at.replace(tzinfo=UTC), False, bool(held)) for session_id, score, at, held in rows
    ]
    return Looked(found, ids[0] if len(ids) > 1 else None)


class Counted(NamedTuple):
    """How many of a player's sessions count, and when the first of them was played: None where none does."""

    sessions: int
    since: datetime | None


async def count_counted(connection: AsyncConnection, user_id: int, after: int) -> tuple[Counted, int | None]:
    """How many of a player's sessions count, wherever they do: of the next `COUNTED_AT_ONCE` after one.

    Gives also the last one that was looked at; None when those were all.
    """
    values = user_id, after, user_id, COUNTED_AT_ONCE
    row: Any = (await connection.exec_driver_sql(_COUNTED, values)).one()
    sessions, since, looked_at, last = row
    counted = Counted(int(sessions or 0), since and since.replace(tzinfo=UTC))
    return counted, last if looked_at == COUNTED_AT_ONCE else None


async def _scan(connection: AsyncConnection, after: tuple[int, int], upto: int) -> _Scanned:
    """What counts of all players up to one, after a player and a session."""
    user_id, session_id = after
    while True:
        rows = await connection.exec_driver_sql(_SCAN, (user_id, session_id, user_id, upto, _SCANNED_AT_ONCE))
        row: tuple[str | None, int] = tuple(rows.one())
        text, count = row
        lines = text.split("\n") if text else []
        if len(lines) != count:
            raise RuntimeError(f"{len(lines)} sessions of {count}")  # a server may cut short what is longer than it allows
        parts = (line.split(" ", 4) for line in lines)
        found = [(int(user), int(session), int(score), places, metrics) for user, session, score, places, metrics in parts]
        found.sort()
        yield found
        if count < _SCANNED_AT_ONCE:
            return
        user_id, session_id, *_ = found[-1]


_LAST_ID = 2**64 - 1
_SCANNED_AT_ONCE = 10_000
_LIST_SAID = """
SELECT user_id, submission_key, score, body_digest
FROM game_sessions FORCE INDEX (uq_game_sessions_user_id_submission_key) WHERE {wanted}"""
# The last one that is looked at, and the one after it if there is one.
_LOOK = """
SELECT id FROM game_sessions FORCE INDEX (ix_game_sessions_user_id_id)
WHERE user_id = %s AND id < %s ORDER BY id DESC LIMIT 2 OFFSET %s"""
_NOT_ERASED = "s.id > COALESCE((SELECT upto_session_id FROM erasures WHERE user_id = %s), 0)"
_ON_BOARD = f"""
SELECT s.id, s.score, s.submitted_at, s.state = {SessionState.HELD:d}
FROM game_sessions AS s FORCE INDEX (ix_game_sessions_user_id_id)
WHERE s.user_id = %s AND s.id < %s AND s.id >= %s AND {_NOT_ERASED} AND s.state <> {SessionState.VOIDED:d} AND {{on_board}}
ORDER BY s.id DESC LIMIT %s"""
_COUNTED = f"""
SELECT SUM(counts), MIN(IF(counts, played, NULL)), COUNT(*), MAX(id) FROM (
  SELECT s.id, COALESCE(s.played_at, s.submitted_at) AS played,
    s.state = {SessionState.COUNTED:d} AND (s.places IS NULL OR s.places <> '') AS counts
  FROM game_sessions AS s FORCE INDEX (ix_game_sessions_user_id_id)
  WHERE s.user_id = %s AND s.id > %s AND {_NOT_ERASED} ORDER BY s.id LIMIT %s
) AS looked"""
# In one value, a line each: the driver takes longer for a row than MySQL does.
_SCAN = f"""
SELECT GROUP_CONCAT(
  CONCAT_WS(' ', user_id, id, score, COALESCE(HEX(places), '-'), COALESCE(metrics, '-')) SEPARATOR '\n'), COUNT(*) FROM (
  SELECT user_id, id, score, places, metrics FROM game_sessions FORCE INDEX (ix_game_sessions_user_id_id)
  WHERE (user_id = %s AND id > %s OR user_id > %s AND user_id <= %s) AND state = {SessionState.COUNTED:d}
  ORDER BY user_id, id LIMIT %s
) AS s"""
