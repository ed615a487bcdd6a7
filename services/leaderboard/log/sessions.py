"""All SQL of game sessions: a group of them stored and counted, in one transaction.

Written as text, and sent together: SQLAlchemy compiles an INSERT of many rows anew for each number of rows, which costs more
than MySQL does, and so does each round trip. Values are integers, times, or bytes and text as hexadecimal literals.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.common.mysql.multistatement import Result, Transaction
from services.leaderboard.log import erased_keys, submission_keys
from services.leaderboard.rules import ranking
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.standings.table import STANDING_TEXT

# What the group adds has greater ids, since the server hands them out in ascending order. So a range of the primary key finds
# it again; only what other groups add at the same time is in that range too. (A SET would be a locking read.) The prepared
# statements read these variables.
_BEGIN = """
SELECT COALESCE(MAX(id), 0), {group_id}, {board_id}, {period_id} INTO @newest, @group_id, @board_id, @period_id
FROM game_sessions"""
# A row that is there stays as it is. Without the second line MySQL would answer with error 1062, and the whole group would have
# to be run again.
_ADD_SESSIONS = """
INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES {rows}
ON DUPLICATE KEY UPDATE id = id"""
# `ranking.fold` of what is new of each player, then `ranking.merge`, under the row's lock. In the order of the primary key,
# so that two groups never wait for each other. MySQL assigns from left to right and reads what it has assigned, so the score
# comes after all that reads it.
_COUNT = """
INSERT INTO standings (board_id, period_id, user_id, score, sessions, reached_session_id, version)
SELECT @board_id, @period_id, new.user_id, new.score, new.sessions, new.reached_session_id, 1 FROM (
  SELECT user_id, {folded}
  FROM game_sessions FORCE INDEX (PRIMARY) WHERE id > @newest AND group_id = @group_id {grouped}
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
_JOIN_STANDINGS = """
STRAIGHT_JOIN standings AS t ON t.board_id = @board_id AND t.period_id = @period_id AND t.user_id = s.user_id
LEFT JOIN players AS p ON p.user_id = s.user_id"""
_LIST_ADDED = f"""
SELECT GROUP_CONCAT(CONCAT_WS(' ', s.user_id, HEX(s.submission_key), s.id, {STANDING_TEXT}) SEPARATOR '\\n')
FROM game_sessions AS s FORCE INDEX (PRIMARY) {_JOIN_STANDINGS}
WHERE s.id > @newest AND s.group_id = @group_id"""
# By their keys, whatever the optimizer estimates: by the player, it would read all that they ever played.
_LIST_REPEATED = f"""
SELECT GROUP_CONCAT(CONCAT_WS(' ', s.user_id, HEX(s.submission_key), s.id, HEX(s.group_id), s.score,
COALESCE(s.answered_total, '-'), COALESCE(s.answered_rank, '-'), {STANDING_TEXT}) SEPARATOR '\\n')
FROM game_sessions AS s FORCE INDEX (uq_game_sessions_user_id_submission_key) {_JOIN_STANDINGS}
WHERE (s.user_id, s.submission_key) IN ({{identities}})"""
_KEEP_ANSWERS = """
UPDATE ({rows}) AS a STRAIGHT_JOIN game_sessions AS s ON s.id = a.id
SET s.answered_total = a.total, s.answered_rank = a.place WHERE s.answered_total IS NULL"""
_KEEP_PLAYERS = """
INSERT INTO players (user_id, username) SELECT new.* FROM ({rows}) AS new ORDER BY new.user_id
ON DUPLICATE KEY UPDATE username = new.username"""


def _prepare(name: str, statement: str) -> str:
    quoted = statement.replace("\\", "\\\\").replace("'", "''")
    return f"PREPARE {name} FROM '{quoted}'"


PREPARE = (
    # MySQL takes the types that they have now, of NULLs those of text.
    f"SET @newest = 0, @group_id = 0x{'00' * 16}, @board_id = 0, @period_id = 0",
    # Each player once: nothing to fold, and so no temporary table.
    _prepare("count_each", _COUNT.format(folded="score, 1 AS sessions, id AS reached_session_id", grouped="")),
    _prepare(
        "count_folded",
        _COUNT.format(
            folded="SUM(score) AS score, COUNT(*) AS sessions,"
            " COALESCE(MAX(IF(score = 0, NULL, id)), MIN(id)) AS reached_session_id",
            grouped="GROUP BY user_id",
        ),
    ),
    _prepare("list_added", _LIST_ADDED),
)
"""What a connection for `store` begins with: of what a group costs MySQL, reading and planning these was a tenth."""


# Not frozen, and tuples below: one is made for each session of a group, and a frozen dataclass takes thrice as long.
@dataclass(slots=True, eq=False)
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


class Answer(NamedTuple):
    """What a player was told when a session was stored. Without a rank if that could not be told."""

    total_score: int
    rank: int | None


class Stored(NamedTuple):
    """A session as it is stored now.

    ``replayed``: it was stored before this submission came; ``answer`` is what its player was told then, if that is kept.
    """

    session_id: int
    score: int
    replayed: bool = False
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """Each session of a group, how its players stand, and the outbox's note of what changed, None when nothing did."""

    stored: Sequence[Stored]
    standings: Mapping[int, StandingRow]
    note: int | None


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
    transaction: Transaction,
    at: Place,
    group: Sequence[Submission],
    group_id: bytes,
    *,
    earlier: Collection[bytes] = (),
    answers: Mapping[int, Answer] | None = None,
) -> StoredGroup:
    """Store ``group``, in which no session is twice, and count what is new of it: what has our ``group_id`` afterwards.

    ``earlier``: ids under which this group was tried before, with an unknown outcome; what has one of them is stored and
    counted, since a transaction commits whole. All else are replays. ``answers``: what was told about earlier sessions, to be
    kept, by session.

    Raises TotalsTooLarge and SessionsErased, after which the transaction must be rolled back.
    """
    identities = [f"{each.user_id:d} {each.key.hex().upper()}" for each in group]
    values = {**_place(at), "group_id": _literal(group_id)}
    changed = json.dumps([[at.board_id, at.period_id, user_id] for user_id in sorted({each.user_id for each in group})])
    digests = {submission_keys.digest(*each.identity): each for each in group if submission_keys.is_clients(each.key)}
    _, _, _, noted, listed, *found = await transaction.send(
        _BEGIN.format_map(values),
        _ADD_SESSIONS.format(rows=",".join([_row(each, values["group_id"]) for each in group])),
        "EXECUTE count_each" if len({each.user_id for each in group}) == len(group) else "EXECUTE count_folded",
        _NOTE.format(changed=changed),
        "EXECUTE list_added",
        # Once the rows are in: an INSERT of a key that is being erased waits until that is committed.
        *([erased_keys.FIND.format(digests=",".join(map(_literal, digests)))] if digests else []),
        *([keeping(answers)] if answers else []),
    )
    ids: dict[str, int] = {}
    standings: dict[int, StandingRow] = {}
    for line in _lines(listed):
        user, key, session_id, standing = line.split(" ", 3)
        ids[f"{user} {key}"], user_id = int(session_id), int(user)
        if user_id not in standings:
            standings[user_id] = StandingRow.parse(user_id, standing)
    added = [each for each, identity in zip(group, identities, strict=True) if identity in ids]
    if digests and (refused := {digests[digest] for (digest,) in found[0].rows}.intersection(added)):
        raise SessionsErased([each for each in added if each in refused])
    _require_exact(added, standings)
    repeats = {} if len(ids) == len(group) else await _find_repeats(transaction, set(identities) - ids.keys(), standings)
    names = {each.user_id: each.username for each in added}
    if renamed := {user_id: name for user_id, name in names.items() if name != standings[user_id].username}:
        standings |= {user_id: standings[user_id]._replace(username=name) for user_id, name in renamed.items()}
        kept = [
            f"SELECT {user_id:d} AS user_id, _utf8mb4 {_literal(name.encode())} AS username"
            for user_id, name in renamed.items()
        ]
        await transaction.send(_KEEP_PLAYERS.format(rows=" UNION ALL ".join(kept)))
    stored = []
    for each, identity in zip(group, identities, strict=True):
        if identity in ids:
            stored.append(Stored(ids[identity], each.score))
        else:
            stored_by, repeat = repeats[identity]
            stored.append(repeat._replace(replayed=False) if stored_by in earlier else repeat)
    return StoredGroup(stored, standings, noted.insert_id if noted.affected_rows else None)


async def _find_repeats(
    transaction: Transaction, identities: Collection[str], standings: dict[int, StandingRow]
) -> dict[str, tuple[bytes, Stored]]:
    """Sessions that were there before, each with the group that stored it; how their players stand goes to ``standings``."""
    wanted = ",".join([f"({identity.replace(' ', ',0x')})" for identity in identities])
    [listed] = await transaction.send(_LIST_REPEATED.format(identities=wanted))
    repeats: dict[str, tuple[bytes, Stored]] = {}
    for line in _lines(listed):
        user, key, session_id, stored_by, score, total, rank, standing = line.split(" ", 7)
        user_id = int(user)
        answer = None if total == "-" else Answer(int(total), None if rank == "-" else int(rank))
        repeats[f"{user} {key}"] = bytes.fromhex(stored_by), Stored(int(session_id), int(score), True, answer)
        standings.setdefault(user_id, StandingRow.parse(user_id, standing))
    return repeats


def keeping(answers: Mapping[int, Answer]) -> str:
    """The statement that keeps what was told about sessions, by session, unless something is kept of them already."""
    rows = []
    for session_id, answer in answers.items():
        place = "NULL" if answer.rank is None else f"{answer.rank:d}"
        rows.append(f"SELECT {session_id:d} AS id, {answer.total_score:d} AS total, {place} AS place")
    return _KEEP_ANSWERS.format(rows=" UNION ALL ".join(rows))


def _require_exact(added: Sequence[Submission], standings: Mapping[int, StandingRow]) -> None:
    """Raise TotalsTooLarge unless every total can be counted exactly: first come, first counted."""
    too_large = {
        user_id: standing.score for user_id, standing in standings.items() if (standing.score or 0) > ranking.MAX_TOTAL
    }
    totals: dict[Submission, int] = {}
    for user_id, after in too_large.items():
        assert after is not None
        submissions = [each for each in added if each.user_id == user_id]
        total = after - sum(each.score for each in submissions)
        for each in submissions:
            if total + each.score > ranking.MAX_TOTAL:
                totals[each] = total + each.score
            else:
                total += each.score
    if totals:
        raise TotalsTooLarge(totals)


def _row(submission: Submission, group_id: str) -> str:
    assert submission.submitted_at.tzinfo is UTC
    time = submission.submitted_at.isoformat(" ", "microseconds")[:26]  # without the zone
    return f"({submission.user_id:d},{_literal(submission.key)},{group_id},{submission.score:d},'{time}')"


def _lines(listed: Result) -> list[str]:
    """What a statement listed as one value: NULL, if nothing."""
    [(text,)] = listed.rows
    return text.split("\n") if text else []


def _literal(value: bytes) -> str:
    """Bytes as MySQL reads them, whatever they are."""
    return f"0x{value.hex()}" if value else "''"


def _place(at: Place) -> dict[str, Any]:
    return {"board_id": at.board_id, "period_id": at.period_id}
