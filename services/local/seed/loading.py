"""Writes a population into the database: accounts, then the log of sessions, then the standings that follow from the log.

The services go on meanwhile. Transactions are moderate, and touch nobody else's rows: a real player's submission changes
that player's standing, ours are those of accounts that nobody can sign in to. Each transaction that adds standings sets
another epoch, so that indexes are built anew: whatever ends us early, nothing that was committed goes unnoticed.
"""

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from services.leaderboard.rules.places import ALL_TIME, MAIN_BOARD_ID
from services.local.seed.names import canonical, gamer_names
from services.local.seed.population import Population

T = TypeVar("T")
Advance = Callable[[int], None]

ROWS_A_STATEMENT = 2_000
ROWS_A_TRANSACTION = 20_000
PLAYERS_A_TRANSACTION = 10_000

# A well-formed Argon2id hash of a password that nobody has: its 32 bytes are random, not the outcome of any. So it costs
# a login what every other wrong password costs, and no code needs to know of it. We know ours by how the salt begins.
_SALT_MARK = b"seeded"
_HASH_START = "$argon2id$v=19$m=19456,t=2,p=1$" + base64.b64encode(_SALT_MARK).decode()
_RETRYABLE = frozenset({1205, 1213})
_ATTEMPTS = 5

# A total was reached by the greatest id that changed it; if all scores are zeros, by the least one.
_STANDINGS = f"""
INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)
SELECT {MAIN_BOARD_ID}, {ALL_TIME}, s.user_id, SUM(s.score), -SUM(s.score), COUNT(*),
       COALESCE(MAX(CASE WHEN s.score <> 0 THEN s.id END), MIN(s.id)), 1
FROM users u JOIN game_sessions s ON s.user_id = u.id
LEFT JOIN standings st ON st.board_id = {MAIN_BOARD_ID} AND st.period_id = {ALL_TIME} AND st.user_id = u.id
WHERE {{seeded}} AND st.user_id IS NULL
GROUP BY s.user_id
"""
_PLAYERS = """
INSERT INTO players (user_id, username)
SELECT u.id, u.username FROM users u
WHERE {seeded} AND EXISTS (SELECT 1 FROM game_sessions s WHERE s.user_id = u.id)
ON DUPLICATE KEY UPDATE username = players.username
"""
_EVERYTHING_CHANGED = "UPDATE index_epoch SET epoch = RANDOM_BYTES(8) WHERE id = 1"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def unusable_hash() -> str:
    """A password hash that no password verifies against; a new one each time, to tell one seeding's accounts from another's."""
    salt, digest = _SALT_MARK + os.urandom(10), os.urandom(32)
    return f"$argon2id$v=19$m=19456,t=2,p=1${_unpadded(salt)}${_unpadded(digest)}"


def add_accounts(connection: "Connection[Any]", random: Random, joined: Sequence[int], advance: Advance) -> list[int]:
    """Make an account for each time in ``joined``, and give their user ids in that order.

    Ids come from the same counter as everybody's, so that they can never become another's. A name that somebody has
    already is left to them and another one is made up.
    """
    mark = unusable_hash()
    names = gamer_names(random)
    ids: list[int] = [0] * len(joined)
    nameless = list(range(len(joined)))
    last_id = 0
    while nameless:
        given = dict(zip(islice(names, len(nameless)), nameless, strict=True))
        for chunk in _chunks(list(given.items()), ROWS_A_TRANSACTION):
            statements = [
                "INSERT INTO users (username, username_canonical, password_hash, created_at) VALUES "
                + ",".join(f"('{name}','{canonical(name)}','{mark}','{_time(joined[player])}')" for name, player in rows)
                + " ON DUPLICATE KEY UPDATE id = users.id"
                for rows in _chunks(chunk, ROWS_A_STATEMENT)
            ]
            _transaction(connection, statements)
            if last_id == 0:  # later rounds are for the few whose name was taken
                advance(len(chunk))
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, username FROM users WHERE id > %s AND password_hash = %s ORDER BY id", (last_id, mark))
            for user_id, name in cursor.fetchall():
                ids[given.pop(name)] = user_id
                last_id = user_id
        nameless = list(given.values())
    return ids


def add_sessions(connection: "Connection[Any]", ids: Sequence[int], population: Population, advance: Advance) -> None:
    """Append the sessions to the log, in the order they were played."""
    # As the service's own keys begin: no client can choose one like it.
    key = (b"s:" + os.urandom(12)).hex()
    rows = list(zip(population.players, population.scores, population.times, strict=True))
    for chunk_number, chunk in enumerate(_chunks(rows, ROWS_A_TRANSACTION)):
        group = os.urandom(16).hex()
        first = chunk_number * ROWS_A_TRANSACTION
        values = [
            f"({ids[player]},0x{key}{first + number:08x},0x{group},{score},'{_time(at)}')"
            for number, (player, score, at) in enumerate(chunk)
        ]
        statements = [
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at) VALUES " + ",".join(some)
            for some in _chunks(values, ROWS_A_STATEMENT)
        ]
        _transaction(connection, statements)
        advance(len(chunk))


def add_standings(connection: "Connection[Any]", begin: Callable[[int], Advance]) -> None:
    """Fold the log into standings for every seeded account without: this seeding's, and those of one cut short.

    ``begin`` is told how many there are.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT u.id FROM users u LEFT JOIN standings st ON st.board_id = %s AND st.period_id = %s AND st.user_id = u.id"
            " WHERE u.password_hash LIKE %s AND st.user_id IS NULL"
            " AND EXISTS (SELECT 1 FROM game_sessions s WHERE s.user_id = u.id) ORDER BY u.id",
            (MAIN_BOARD_ID, ALL_TIME, f"{_HASH_START}%"),
        )
        ids = [user_id for (user_id,) in cursor.fetchall()]
    advance = begin(len(ids))
    for chunk in _chunks(ids, PLAYERS_A_TRANSACTION):
        seeded = f"u.id BETWEEN {chunk[0]} AND {chunk[-1]} AND u.password_hash LIKE '{_HASH_START}%'"
        _transaction(connection, [_STANDINGS.format(seeded=seeded), _PLAYERS.format(seeded=seeded), _EVERYTHING_CHANGED])
        advance(len(chunk))


def _transaction(connection: "Connection[Any]", statements: Sequence[str]) -> None:
    """Run the statements in one transaction, again as a whole where MySQL asks for it."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connection.cursor() as cursor:
                _execute(cursor, statements)
            connection.commit()
        except pymysql.OperationalError as error:
            connection.rollback()  # 1205 undoes its statement alone
            if error.args[0] not in _RETRYABLE or attempt == _ATTEMPTS:
                raise
        else:
            return


def _execute(cursor: Cursor, statements: Sequence[str]) -> None:
    for statement in statements:
        cursor.execute(statement)


def _chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _time(microseconds: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=microseconds):%Y-%m-%d %H:%M:%S.%f}"


def _unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
