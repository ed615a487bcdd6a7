"""`make seed`: fills a running system, checks it, and says what it did."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import pymysql
from pymysql.connections import Connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.leaderboard.rules.places import MAIN_BOARD_ID
from services.local.errors import LocalError
from services.local.seed.checking import Agreement, check_agreement
from services.local.seed.loading import Advance, add_accounts, add_sessions, add_standings
from services.local.seed.population import populate
from services.local.seed.target import Target
from services.local.terminal import say

Bar = Callable[[str, int], Advance]
"""Makes a progress bar with a name and a length, and gives what moves it on."""

# One seeding at a time: two would both fold what a third one left unfinished.
_LOCK = "leaderboard.seed"


def seed(target: Target, players: int, sessions: int, random: Random | None = None) -> Agreement:
    """Add ``players`` and ``sessions``, check everything, and say how it went. Raises LocalError when the check fails."""
    if players < 1 or sessions < 0:
        raise LocalError("PLAYERS must be 1 or more, and SESSIONS 0 or more")
    random = random or Random()  # noqa: S311  # names and scores, nothing secret
    began = time.monotonic()
    try:
        with target.connect() as connection, _alone(connection), _bars() as bar:
            _fill(target, connection, random, players, sessions, bar)
            checked = bar("Checking", 1)
            agreement = check_agreement(connection)
            checked(1)
    except pymysql.MySQLError as error:
        raise LocalError(f"MySQL at {target.host}:{target.port} failed: {error.args[-1]}") from error
    say(f"Added {players:,} players and {sessions:,} game sessions in {time.monotonic() - began:.0f} s")
    if not agreement.holds:
        raise LocalError(str(agreement))
    say(str(agreement))
    return agreement


def _fill(target: Target, connection: "Connection[Any]", random: Random, players: int, sessions: int, bar: Bar) -> None:
    max_score = _max_score(connection)
    made_up = bar("Making up", players)
    population = populate(random, players, sessions, time.time_ns() // 1000, max_score)
    made_up(players)
    ids = add_accounts(connection, random, population.joined, bar("Accounts", players))
    try:
        add_sessions(connection, ids, population, bar("Game sessions", sessions))
    except BaseException:
        # Ctrl-C, say. What is in the log by now gets its standings all the same, on a connection that was not cut off.
        with target.connect() as another:
            add_standings(another, partial(bar, "Standings"))
        raise
    add_standings(connection, partial(bar, "Standings"))


def _max_score(connection: "Connection[Any]") -> int:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT max_score FROM boards WHERE id = %s", (MAIN_BOARD_ID,))
            row = cursor.fetchone()
    except pymysql.ProgrammingError:
        row = None
    if row is None:
        raise LocalError("The database has no tables yet: start the system first, which makes them")
    return int(row[0])


@contextmanager
def _alone(connection: "Connection[Any]") -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", (_LOCK,))
        if cursor.fetchone() != (1,):
            raise LocalError("Another seeding of this database is under way")
    yield  # the server releases it with the connection


@contextmanager
def _bars() -> Iterator[Bar]:
    columns = (TextColumn("{task.description:<13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def bar(name: str, total: int) -> Advance:
            task = progress.add_task(name, total=total)
            return lambda done: progress.advance(task, done)

        yield bar
