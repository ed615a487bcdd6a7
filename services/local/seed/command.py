"""`make seed`: fills a running system, checks it, and says what it did."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import pymysql
from pymysql.connections import Connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import reason
from services.local.errors import LocalError
from services.local.seed.loading import Advance, add_accounts, add_sessions
from services.local.seed.places import Grounds, Stretch, close_past, lay_out, prepare
from services.local.seed.population import populate
from services.local.seed.standings import Agreement, add_standings, check_agreement
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
            agreement = asyncio.run(_check(target, partial(bar, "Checking")))
    except (pymysql.MySQLError, SQLAlchemyError, TimeoutError) as error:
        raise LocalError(f"MySQL at {target.host}:{target.port} failed: {reason(error)}") from error
    say(f"Added {players:,} players and {sessions:,} game sessions in {time.monotonic() - began:.0f} s")
    if not agreement.holds:
        raise LocalError(str(agreement))
    say(str(agreement))
    return agreement


def _fill(target: Target, connection: "Connection[Any]", random: Random, players: int, sessions: int, bar: Bar) -> None:
    made_up = bar("Making up", players)
    grounds, now = asyncio.run(_prepare(target))
    population = populate(random, players, sessions, now, grounds.max_score)
    stretches = asyncio.run(_lay_out(target, grounds, population.times))
    made_up(players)
    ids = add_accounts(connection, random, population.joined, bar("Accounts", players))
    try:
        add_sessions(connection, ids, population, grounds, stretches, bar("Game sessions", sessions))
    finally:
        # Also after Ctrl-C, say: what is in the log by now gets its standings all the same.
        asyncio.run(_add_standings(target, grounds, partial(bar, "Standings")))


async def _prepare(target: Target) -> tuple[Grounds, int]:
    async with target.open_database() as database:
        return await prepare(database)


async def _lay_out(target: Target, grounds: Grounds, times: Sequence[int]) -> list[Stretch]:
    async with target.open_database() as database:
        return await lay_out(database, grounds, times)


async def _add_standings(target: Target, grounds: Grounds, begin: Callable[[int], Advance]) -> None:
    async with target.open_database() as database:
        await add_standings(database, begin)
        await close_past(database, grounds)


async def _check(target: Target, begin: Callable[[int], Advance]) -> Agreement:
    async with target.open_database("REPEATABLE READ") as database:
        return await check_agreement(database, begin)


@contextmanager
def _alone(connection: "Connection[Any]") -> Iterator[None]:
    with connection.cursor() as cursor:
        # A second, since the server may not have noticed yet that a seeding has just ended.
        cursor.execute("SELECT GET_LOCK(%s, 1)", (_LOCK,))
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
