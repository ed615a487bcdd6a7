"""The statements of log/sessions.py, and how their values are written.

As text: SQLAlchemy compiles an INSERT of many rows anew for each number of rows, which costs more than MySQL does. Values are
integers, times, or bytes and text as hexadecimal literals.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from services.common.mysql.multistatement import Result
from services.leaderboard.rules.places import Place

# In the order of the primary key, as everybody locks players: so two groups never wait for each other. Who is
# new has no name yet.
LOCK_PLAYERS = """
INSERT INTO players (user_id, username) VALUES {rows} ON DUPLICATE KEY UPDATE user_id = players.user_id"""
# A row that is there stays as it is. Without the second line MySQL would answer with error 1062, and the whole group would have
# to be run again.
ADD_SESSIONS = """
INSERT INTO game_sessions
(user_id, submission_key, group_id, score, submitted_at, places, body_digest, metrics, tags, played_at) VALUES {rows}
ON DUPLICATE KEY UPDATE id = id"""
# A line a row, and all that is read in one value: the driver takes as long for each column and each answer as MySQL does for a
# row. A group of sixteen takes this process a seventh less than with an answer for the boards and a column for each part. First
# comes the id of the group's first session, if there are as many of the group as ids from there on. CONCAT_WS leaves out what
# is NULL: of a player whom auth knows the name follows that the account has, and when it ended, if it has. Players are locked
# by now, so what auth commits later is applied after this group, and so is a ban.
LIST = """
SELECT CONCAT(COALESCE((
  SELECT MIN(id) FROM game_sessions FORCE INDEX (PRIMARY)
  WHERE id >= LAST_INSERT_ID() AND id < LAST_INSERT_ID() + {sessions} AND group_id = {group_id} HAVING COUNT(*) = {sessions}
), ''), ';', COALESCE(({standings}), ''), ';', COALESCE(({boards}), ''), ';', (
  SELECT GROUP_CONCAT(
    CONCAT_WS('\\t', user_id, banned_at IS NOT NULL, players.username, account_changes.username, ended_at) SEPARATOR '\\n')
  FROM players FORCE INDEX (PRIMARY) LEFT JOIN account_changes FORCE INDEX (PRIMARY) ON account_changes.id = user_id
  WHERE user_id IN ({user_ids})
))"""
# A share of a board's row and of a period's keeps them as they are until the group is committed: who closes one waits for it.
# In a statement of their own periods are locked after boards, as everybody locks them: of what one statement reads the server
# chooses the order. More than the id is read: when only ids are, MariaDB goes through the whole index, and waits for rows that
# are none of these.
SHARE_BOARDS = """
SELECT GROUP_CONCAT(CONCAT_WS(' ', id, version, state = 'active') SEPARATOR '\\n')
FROM boards FORCE INDEX (PRIMARY) WHERE id IN ({ids}) LOCK IN SHARE MODE"""
SHARE_PERIODS = """
SELECT GROUP_CONCAT(CONCAT_WS(' ', id, state = 'open' AND closes_at > NOW(6)) SEPARATOR '\\n')
FROM periods FORCE INDEX (PRIMARY) WHERE id IN ({ids}) LOCK IN SHARE MODE"""
NO_BOARDS = "NULL"
# By their keys, whatever the optimizer estimates: by the player, it would read all that they ever played.
LIST_BY_KEYS = """
SELECT GROUP_CONCAT(
  CONCAT_WS(
    ' ', user_id, HEX(submission_key), id, HEX(group_id), score,
    COALESCE(HEX(places), '-'), COALESCE(HEX(body_digest), '-'), state
  ) SEPARATOR '\\n')
FROM game_sessions FORCE INDEX (uq_game_sessions_user_id_submission_key) WHERE {keys}"""
LIST_STANDINGS = """
SELECT GROUP_CONCAT(
  CONCAT_WS(' ', board_id, period_id, user_id, COALESCE(score, '-'), sessions, reached_session_id, version) SEPARATOR '\\n')
FROM standings FORCE INDEX (PRIMARY) WHERE {places}"""
WRITE_STANDINGS = """
INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) VALUES {rows}
ON DUPLICATE KEY UPDATE score = VALUES(score), sort = VALUES(sort), sessions = VALUES(sessions),
reached_session_id = VALUES(reached_session_id), version = VALUES(version)"""
ADD_EXTRAS = "INSERT INTO session_extras (session_id, extra) VALUES {rows}"
NOTE = "INSERT INTO outbox (changed) VALUES ('{changed}')"
RENAME = """
INSERT INTO players (user_id, username) VALUES {rows} ON DUPLICATE KEY UPDATE username = VALUES(username)"""
# The indexes have the names of players: in places where the group does not count, the follower tells of new ones.
RENAME_ELSEWHERE = """
UPDATE standings FORCE INDEX (ix_standings_user_id) SET version = version + 1
WHERE user_id IN ({user_ids}) AND score IS NOT NULL AND NOT ({places})"""
NOTE_ELSEWHERE = """
INSERT INTO outbox (changed) SELECT JSON_ARRAYAGG(JSON_ARRAY(board_id, period_id, user_id))
FROM standings FORCE INDEX (ix_standings_user_id)
WHERE user_id IN ({user_ids}) AND score IS NOT NULL AND NOT ({places}) HAVING COUNT(*) > 0"""
# Of whom only repeats came, and who was removed before: they do not come back. A ban is kept.
FORGET = "DELETE FROM players WHERE user_id IN ({user_ids}) AND banned_at IS NULL"


def ids(user_ids: Iterable[int]) -> str:
    return ",".join([f"{user_id:d}" for user_id in user_ids])


def player_rows(names: Mapping[int, str]) -> str:
    return ",".join([f"({user_id:d},{text(names[user_id])})" for user_id in sorted(names)])


def at_places(wanted: Mapping[Place, Collection[int]]) -> str:
    """The condition that finds the standings of these players: a list of tuples would be no range of the primary key."""
    return (
        " OR ".join(
            [
                f"(board_id = {at.board_id:d} AND period_id = {at.period_id:d} AND user_id IN ({ids(user_ids)}))"
                for at, user_ids in wanted.items()
            ]
        )
        or "FALSE"
    )


def text_of(listed: Result) -> str | None:
    """What a statement listed as one value."""
    text: str | None
    [(text,)] = listed.rows
    return text


def lines(listed: str | None) -> list[str]:
    """The lines of a list: none, if it is NULL."""
    return listed.split("\n") if listed else []


def versions(listed: str) -> dict[int, int]:
    """What `SHARE_BOARDS` listed: the versions of boards that are active."""
    listings = [line.split(" ") for line in lines(listed)]
    return {int(board_id): int(version) for board_id, version, active in listings if active == "1"}


def running(listed: Result) -> list[int]:
    """What `SHARE_PERIODS` listed: the periods that are open."""
    listings = [line.split(" ") for line in lines(text_of(listed))]
    return [int(period_id) for period_id, is_open in listings if is_open == "1"]


def time(time: datetime) -> str:
    assert time.tzinfo is UTC
    return f"'{time.isoformat(' ', 'microseconds')[:26]}'"  # without the zone


def json_text(value: Mapping[str, int] | Mapping[str, str]) -> str:
    return text(json.dumps(value, ensure_ascii=False)) if value else "NULL"


def text(value: str) -> str:
    return f"_utf8mb4 {literal(value.encode())}"


def literal(value: bytes) -> str:
    """Bytes as MySQL reads them, whatever they are."""
    return f"0x{value.hex()}" if value else "''"
