"""SQL that reads the log: a player's sessions, and what they fold to."""

import json
from collections.abc import AsyncGenerator, Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.leaderboard.models import Erasure, GameSession
from services.leaderboard.rules import ranking
from services.leaderboard.rules.names import SCORE
from services.leaderboard.rules.places import MAIN, Place, unpack
from services.leaderboard.rules.played import Played
from services.leaderboard.rules.ranking import Counting, Tally

_Runs = dict[int, list[int]]
"""Of each player what counts in a place: a score, the session that it is of, the next score, and so on."""


class LoggedSession(NamedTuple):
    """A session as the log has it."""

    session_id: int
    score: int
    submitted_at: datetime


async def fold_sessions(
    connection: AsyncConnection, after: int, upto: int, boards: Mapping[int, tuple[str, Counting]]
) -> dict[Place, dict[int, Tally]]:
    """What the sessions of every player after one and up to another fold to, by place and player.

    Sessions that are being erased are left out. ``boards``: by which metric, and how, boards count, by their ids. Of places of
    others nothing is told: they are gone.
    """
    pending = select(Erasure.user_id, Erasure.upto_session_id).where(Erasure.user_id > after, Erasure.user_id <= upto)
    erased: dict[int, int] = {row.user_id: row.upto_session_id for row in await connection.execute(pending)}
    runs: dict[Place, _Runs] = {}
    # Few places are written in many sessions. With each its metric, None for the score.
    counted: dict[str, list[tuple[str | None, _Runs]]] = {}
    async for sessions in _scan(connection, after, upto):
        for user_id, session_id, score, places, metrics in sessions:
            if session_id <= erased.get(user_id, 0):
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


async def list_own_sessions(connection: AsyncConnection, user_id: int, before: int | None, limit: int) -> list[LoggedSession]:
    """A player's sessions, newest first, from before a session on."""
    statement = select(GameSession.id, GameSession.score, GameSession.submitted_at).where(GameSession.user_id == user_id)
    if before is not None:
        statement = statement.where(GameSession.id < before)
    rows = await connection.execute(statement.order_by(GameSession.id.desc()).limit(limit))
    return [LoggedSession(*row) for row in rows]


async def _scan(
    connection: AsyncConnection, after: int, upto: int
) -> AsyncGenerator[list[tuple[int, int, int, str, str]], None]:
    """Player, id, score, places and metrics of each session of these players, by player and id: so many at once."""
    user_id, session_id = after, _LAST_ID
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
# In one value, a line each: the driver takes longer for a row than MySQL does.
_SCAN = """
SELECT GROUP_CONCAT(
  CONCAT_WS(' ', user_id, id, score, COALESCE(HEX(places), '-'), COALESCE(metrics, '-')) SEPARATOR '\n'), COUNT(*) FROM (
  SELECT user_id, id, score, places, metrics FROM game_sessions FORCE INDEX (ix_game_sessions_user_id_id)
  WHERE user_id = %s AND id > %s OR user_id > %s AND user_id <= %s ORDER BY user_id, id LIMIT %s
) AS s"""
