"""All SQL of game sessions: a group of them stored and counted, in one transaction.

Written as text, and sent together: SQLAlchemy compiles an INSERT of many rows anew for each number of rows, which costs more
than MySQL does, and so does each round trip. Values are integers, or bytes and text as hexadecimal literals.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.multistatement import Transaction
from services.leaderboard import erased_keys, ranking, submission_keys
from services.leaderboard.repository import BoardPeriod

# Of no effect on a row that is there. Nor does it raise 1062, for which a whole group would have to be run again.
_ADD_SESSIONS = """
INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES {rows}
ON DUPLICATE KEY UPDATE id = id"""
# Sessions are found by their keys, whatever the optimizer estimates: by the player, it would read all that they ever played.
# `ranking.fold` of what is new of each player, then `ranking.merge`, under the row's lock. In the order of the primary key,
# so that two groups never wait for each other. MySQL assigns from left to right and reads what it has assigned, so the score
# comes after all that reads it.
_COUNT_SESSIONS = """
INSERT INTO standings (board_id, period_id, user_id, score, sessions, reached_session_id, version)
SELECT new.* FROM (
  SELECT {board_id} AS board_id, {period_id} AS period_id, user_id, SUM(score) AS score, COUNT(*) AS sessions,
  COALESCE(MAX(IF(score = 0, NULL, id)), MIN(id)) AS reached_session_id, 1 AS version
  FROM game_sessions FORCE INDEX (uq_game_sessions_user_id_submission_key)
  WHERE (user_id, submission_key) IN ({identities}) AND group_id = {group_id} GROUP BY user_id
) AS new ORDER BY new.user_id
ON DUPLICATE KEY UPDATE
reached_session_id = CASE
  WHEN standings.score IS NULL THEN new.reached_session_id
  WHEN new.score = 0 AND standings.score = 0 THEN LEAST(standings.reached_session_id, new.reached_session_id)
  WHEN new.score = 0 THEN standings.reached_session_id
  WHEN standings.score = 0 THEN new.reached_session_id
  ELSE GREATEST(standings.reached_session_id, new.reached_session_id)
END,
sessions = IF(standings.score IS NULL, new.sessions, standings.sessions + new.sessions),
version = standings.version + 1,
score = COALESCE(standings.score, 0) + new.score"""
# Only if the statement before it, which counts, has counted anything.
_NOTE = "INSERT INTO outbox (changed) SELECT '{changed}' FROM DUAL WHERE ROW_COUNT() > 0"
# One column, whose parts have no blanks, a name apart, which comes last: the driver takes longer for nine columns of a row than
# MySQL takes for the row.
_LIST_SESSIONS = """
SELECT CONCAT_WS(' ', s.user_id, HEX(s.submission_key), s.id, HEX(s.group_id), s.score,
COALESCE(t.score, '-'), t.reached_session_id, t.version, COALESCE(p.username, ''))
FROM game_sessions AS s FORCE INDEX (uq_game_sessions_user_id_submission_key)
STRAIGHT_JOIN standings AS t ON t.board_id = {board_id} AND t.period_id = {period_id} AND t.user_id = s.user_id
LEFT JOIN players AS p ON p.user_id = s.user_id
WHERE (s.user_id, s.submission_key) IN ({identities})"""
_KEEP_PLAYERS = """
INSERT INTO players (user_id, username) SELECT new.* FROM ({rows}) AS new ORDER BY new.user_id
ON DUPLICATE KEY UPDATE username = new.username"""
_COUNT_AHEAD = "SELECT %s, COUNT(*) FROM standings WHERE board_id = %s AND period_id = %s AND score > %s AND user_id <> %s"


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


class _Found(NamedTuple):
    """A session as it is stored, and the standing of its player. Nobody's name is empty: a player without a row has none."""

    user_id: int
    key: bytes
    session_id: int
    group_id: bytes
    score: int
    total: int | None
    reached_session_id: int
    version: int
    username: str

    @classmethod
    def parse(cls, row: tuple[str]) -> "_Found":
        user_id, key, session_id, group_id, score, total, reached, version, username = row[0].split(" ", 8)
        return cls(
            int(user_id),
            bytes.fromhex(key),
            int(session_id),
            bytes.fromhex(group_id),
            int(score),
            None if total == "-" else int(total),
            int(reached),
            int(version),
            username,
        )


class TotalsTooLarge(Exception):
    """With the submissions in ``totals`` a player's total would leave the range; it maps each to the total it would give."""

    def __init__(self, totals: dict[Submission, int]) -> None:
        super().__init__(f"{len(totals)} totals would be too large")
        self.totals = totals


class SessionsErased(Exception):
    """``submissions`` are repeats of sessions that their players have had erased."""

    def __init__(self, submissions: Sequence[Submission]) -> None:
        super().__init__(f"{len(submissions)} sessions were erased")
        self.submissions = submissions


async def store(
    transaction: Transaction, at: BoardPeriod, group: Sequence[Submission], group_id: bytes, earlier: Collection[bytes]
) -> tuple[list[Stored], int | None]:
    """Store ``group``, in which no session is twice, and count what is new of it.

    Gives each session as it is stored now, and the outbox's note of what changed, None when nothing did. What has our
    ``group_id`` afterwards is new. ``earlier``: ids under which this group was tried before, with an unknown outcome; what
    has one of them is stored and counted, since a transaction commits whole. All else are replays.

    Raises TotalsTooLarge and SessionsErased, after which the transaction must be rolled back.
    """
    identities = ",".join([f"({each.user_id:d},{_literal(each.key)})" for each in group])
    values = {**_place(at), "group_id": _literal(group_id), "identities": identities}
    changed = json.dumps([[at.board_id, at.period_id, user_id] for user_id in sorted({each.user_id for each in group})])
    digests = {submission_keys.digest(*each.identity): each for each in group if submission_keys.is_clients(each.key)}
    _, _, noted, listed, *erased = await transaction.send(
        _ADD_SESSIONS.format(rows=",".join([_row(each, values["group_id"]) for each in group])),
        _COUNT_SESSIONS.format_map(values),
        _NOTE.format(changed=changed),
        # By reading them, never from the first id and the number of rows: others insert at the same time.
        _LIST_SESSIONS.format_map(values),
        # Once the rows are in: an INSERT of a key that is being erased waits until that is committed.
        *([erased_keys.FIND.format(digests=",".join(map(_literal, digests)))] if digests else []),
    )
    found = {(row.user_id, row.key): row for row in map(_Found.parse, listed.rows)}
    added: dict[int, list[Submission]] = {}
    for each in group:
        if found[each.identity].group_id == group_id:
            added.setdefault(each.user_id, []).append(each)
    repeats = [digests[digest] for result in erased for (digest,) in result.rows]
    if refused := [each for each in repeats if found[each.identity].group_id == group_id]:
        raise SessionsErased(refused)
    last = {user_id: submissions[-1].username for user_id, submissions in added.items()}
    standings = {
        row.user_id: Change(row.user_id, last.get(row.user_id, row.username), row.total, row.reached_session_id, row.version)
        for row in found.values()
    }
    _require_exact(added, standings)
    known = {row.user_id: row.username for row in found.values()}
    if renamed := [(user_id, name) for user_id, name in last.items() if name != known[user_id]]:
        names = [f"SELECT {user_id:d} AS user_id, _utf8mb4 {_literal(name.encode())} AS username" for user_id, name in renamed]
        await transaction.send(_KEEP_PLAYERS.format(rows=" UNION ALL ".join(names)))
    stored = []
    for each in group:
        row = found[each.identity]
        replayed = row.group_id != group_id and row.group_id not in earlier
        stored.append(Stored(row.session_id, row.score, replayed, standings[each.user_id]))
    return stored, noted.insert_id if noted.affected_rows else None


async def count_ahead_of_each(connection: AsyncConnection, at: BoardPeriod, scores: Mapping[int, int]) -> dict[int, int]:
    """How many others are strictly ahead of each player with this score, all at one moment.

    Others: the player's own total may have grown since, and nobody is ahead of themselves.
    """
    counted = [(user_id, at.board_id, at.period_id, score, user_id) for user_id, score in scores.items()]
    if not counted:
        return {}
    statement = " UNION ALL ".join([_COUNT_AHEAD] * len(counted))
    rows: Sequence[tuple[Any, ...]] = (await connection.exec_driver_sql(statement, _flat(counted))).all()
    return {row[0]: row[1] for row in rows}


def _require_exact(added: Mapping[int, Sequence[Submission]], standings: Mapping[int, Change]) -> None:
    """Raise TotalsTooLarge unless every total can be counted exactly: first come, first counted."""
    totals: dict[Submission, int] = {}
    for user_id, submissions in added.items():
        after = standings[user_id].score
        assert after is not None  # counted just now, under the lock that this transaction holds
        if after <= ranking.MAX_TOTAL:
            continue
        total = after - sum(each.score for each in submissions)
        for each in submissions:
            if total + each.score > ranking.MAX_TOTAL:
                totals[each] = total + each.score
            else:
                total += each.score
    if totals:
        raise TotalsTooLarge(totals)


def _row(submission: Submission, group_id: str) -> str:
    key, time = _literal(submission.key), submission.submitted_at.astimezone(UTC).replace(tzinfo=None)
    return f"({submission.user_id:d},{key},{group_id},{submission.score:d},'{time}')"


def _literal(value: bytes) -> str:
    """Bytes as MySQL reads them, whatever they are."""
    return f"0x{value.hex()}" if value else "''"


def _flat(rows: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(value for row in rows for value in row)


def _place(at: BoardPeriod) -> dict[str, Any]:
    return {"board_id": at.board_id, "period_id": at.period_id}
