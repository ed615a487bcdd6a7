"""Everything that is kept of a player, as one JSON document that is written while it is sent.

Read a page at a time, each over a connection of its own: neither memory nor a connection is held for a client that reads
slowly.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.mysql.database import Database
from services.common.times import write_time
from services.leaderboard.log import submission_keys
from services.leaderboard.models import Board, GameSession, Period, Player, Report, Result, SessionExtra, Standing
from services.leaderboard.rules.played import SessionState

PAGE = 1000
_STATES = {SessionState.VOIDED: ',"voided":true', SessionState.HELD: ',"held":true'}

_RESULTS = (
    select(Board.name, Result.period_id, Result.rank, Result.score, Result.reward)
    .join(Period, Period.id == Result.period_id)
    .join(Board, Board.id == Period.board_id)
    .order_by(Result.period_id)
)
_REPORTS = select(Report.session_id, Report.reason, Report.reported_at).order_by(Report.session_id)
_Session = Row[int, bytes, int, datetime, Any, Any, datetime | None, int, str | None]


class Exports:
    """Reads exports."""

    def __init__(self, reads: Database) -> None:
        self._reads = reads

    async def export(self, user_id: int) -> AsyncGenerator[bytes, None]:
        """The document (`Export`) in pieces, each of whole values. Raises what reading from MySQL raises, at any piece."""
        async with self._reads.reading() as connection:
            head = await _head(connection, user_id)
            rows = await _list_sessions(connection, user_id, 0)
        yield head + _sessions(rows)
        while len(rows) == PAGE:
            async with self._reads.reading() as connection:
                rows = await _list_sessions(connection, user_id, rows[-1].id)
            if rows:
                yield b"," + _sessions(rows)
        yield b"]}"


async def _head(connection: AsyncConnection, user_id: int) -> bytes:
    name: str | None = await connection.scalar(select(Player.username).where(Player.user_id == user_id))
    player = "null" if not name else f'{{"user_id":{user_id},"username":{encode_basestring(name)}}}'
    standings = []
    found = await connection.execute(
        select(Board.name, Standing.period_id, Standing.score, Standing.sessions)
        .join(Board, Board.id == Standing.board_id)
        .where(Standing.user_id == user_id)
        .order_by(Standing.board_id, Standing.period_id)
    )
    for board, period_id, score, sessions in found:
        total = "null" if score is None else score
        standings.append(
            f'{{"board":{encode_basestring(board)},"period_id":{period_id},"total_score":{total},"sessions":{sessions}}}'
        )
    results = ",".join([_result(row) for row in await connection.execute(_RESULTS.where(Result.user_id == user_id))])
    reports = ",".join([_report(*row) for row in await connection.execute(_REPORTS.where(Report.user_id == user_id))])
    listed = f'"standings":[{",".join(standings)}],"results":[{results}],"reports":[{reports}]'
    return f'{{"player":{player},{listed},"sessions":['.encode()


def _report(session_id: int, reason: str | None, reported_at: datetime) -> str:
    said = "null" if reason is None else encode_basestring(reason)
    return f'{{"session_id":{session_id},"reason":{said},"reported_at":"{write_time(reported_at)}"}}'


def _result(row: Row[str, int, int, int, str | None]) -> str:
    board, period_id, rank, score, reward = row
    told = "null" if reward is None else encode_basestring(reward)
    place = f'"board":{encode_basestring(board)},"period_id":{period_id}'
    return f'{{{place},"rank":{rank},"score":{score},"reward":{told}}}'


async def _list_sessions(connection: AsyncConnection, user_id: int, after: int) -> Sequence[_Session]:
    session = GameSession
    page = (
        select(
            session.id,
            session.submission_key,
            session.score,
            session.submitted_at,
            session.metrics,
            session.tags,
            session.played_at,
            session.state,
            SessionExtra.extra,
        )
        .outerjoin(SessionExtra, SessionExtra.session_id == session.id)
        .where(session.user_id == user_id, session.id > after)
        .order_by(session.id)
        .limit(PAGE)
    )
    return (await connection.execute(page)).all()


def _sessions(rows: Sequence[_Session]) -> bytes:
    return ",".join(map(_session, rows)).encode()


def _session(row: _Session) -> str:
    name = submission_keys.find_name(row.submission_key)
    key = "null" if name is None else encode_basestring(name)
    played = "" if row.played_at is None else f',"played_at":"{write_time(row.played_at)}"'
    said = "".join(f',"{name}":{_json(value)}' for name, value in (("metrics", row.metrics), ("tags", row.tags)) if value)
    extra = "" if row.extra is None else f',"extra":{row.extra}'
    state = _STATES.get(row.state, "")
    head = f'"session_id":{row.id},"score":{row.score},"submitted_at":"{write_time(row.submitted_at)}"'
    return f'{{{head},"idempotency_key":{key}{played}{said}{extra}{state}}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
