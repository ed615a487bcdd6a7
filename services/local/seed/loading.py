"""Writes a population into the database: accounts, then the log of sessions. Standings, which follow from it, come after.

The services go on meanwhile. Transactions are moderate, and touch nobody else's rows: accounts that nobody can sign in to, and
what they played.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from services.local.seed.names import canonical, gamer_names
from services.local.seed.places import Grounds, Stretch
from services.local.seed.population import Population

T = TypeVar("T")
Advance = Callable[[int], None]

ROWS_A_STATEMENT = 2_000
ROWS_A_TRANSACTION = 20_000

# A well-formed Argon2id hash of a password that nobody has: its 32 bytes are random, not the outcome of any. So it costs
# a login what every other wrong password costs, and no code needs to know of it. We know ours by how the salt begins.
_SALT_MARK = b"seeded"
HASH_START = "$argon2id$v=19$m=19456,t=2,p=1$" + base64.b64encode(_SALT_MARK).decode()
"""What the hash of each seeded account begins with."""
_RETRYABLE = frozenset({1205, 1213})
_ATTEMPTS = 5

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_ADD_USERS = """
INSERT INTO users (username, username_canonical, password_hash, created_at) VALUES {rows}
ON DUPLICATE KEY UPDATE id = users.id"""
# As the auth service does with each account. By their names, so that nobody else's rows are read, let alone locked.
_NOTE_USERS = """
INSERT INTO account_changes (id, username, username_canonical)
SELECT id, username, username_canonical FROM users FORCE INDEX (uq_users_username_canonical)
WHERE username_canonical IN ({names}) AND password_hash = '{mark}'"""


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
            statements = []
            for rows in _chunks(chunk, ROWS_A_STATEMENT):
                values = [f"('{name}','{canonical(name)}','{mark}','{_time(joined[player])}')" for name, player in rows]
                statements += [_ADD_USERS.format(rows=",".join(values)), _NOTE_USERS.format(names=_quoted(rows), mark=mark)]
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


def add_sessions(
    connection: "Connection[Any]",
    ids: Sequence[int],
    population: Population,
    grounds: Grounds,
    stretches: Sequence[Stretch],
    advance: Advance,
) -> None:
    """Append the sessions to the log, in the order they were played, each with the places where it counts."""
    # As the service's own keys begin: no client can choose one like it.
    key = (b"s:" + os.urandom(12)).hex()
    rows = list(zip(population.players, population.scores, population.times, population.laps, strict=True))
    stretch = _stretch_of(stretches)
    tags = json.dumps(grounds.race_tags)
    for chunk_number, chunk in enumerate(_chunks(rows, ROWS_A_TRANSACTION)):
        group = os.urandom(16).hex()
        first = chunk_number * ROWS_A_TRANSACTION
        values = []
        for number, (player, score, at, lap) in enumerate(chunk, first):
            places = stretch(at)
            what = (
                f"0x{places.of_others.hex()},NULL,NULL"
                if lap is None
                else f"0x{places.of_races.hex()},'{{\"{grounds.lap_metric}\": {lap}}}','{tags}'"
            )
            values.append(f"({ids[player]},0x{key}{number:08x},0x{group},{score},'{_time(at)}',{what})")
        statements = [
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at, places, metrics, tags) VALUES "
            + ",".join(some)
            for some in _chunks(values, ROWS_A_STATEMENT)
        ]
        _transaction(connection, statements)
        advance(len(chunk))


def _stretch_of(stretches: Sequence[Stretch]) -> Callable[[int], Stretch]:
    """Finds the stretch of a time, of times that come in order."""
    position = 0

    def find(time: int) -> Stretch:
        nonlocal position
        while position + 1 < len(stretches) and stretches[position + 1].begin <= time:
            position += 1
        return stretches[position]

    return find


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


def _quoted(rows: Sequence[tuple[str, int]]) -> str:
    return ",".join(f"'{canonical(name)}'" for name, _ in rows)


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
