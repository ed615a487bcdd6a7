"""Boards in tests: definitions, and what MySQL has of them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.common.mysql.database import Database
from services.leaderboard.boards import administration
from services.leaderboard.boards.board import USUAL, Definition, Rule, WindowDefinition
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.clock import utc_now
from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place
from services.leaderboard.settings import LeaderboardSettings
from tests.system import rows

ALL = WindowDefinition("all")
DAY = WindowDefinition("day", USUAL["day"], grace_seconds=60)
WEEK = WindowDefinition("week", USUAL["week"], grace_seconds=60)
SEASON = WindowDefinition("season", listed=True, grace_seconds=60)


def define(name: str, **fields: Any) -> Definition:
    """A board that ranks by the best score, with a window that never ends and one of weeks; but for these fields."""
    definition = Definition(name, "", "score", "best", "descending", None, 0, 1000, False, "players", "active", (ALL, WEEK))
    return replace(definition, **fields)


def tagged(name: str, track: str, **fields: Any) -> Definition:
    """A board for which sessions of a track count."""
    return define(name, rule=Rule(("track", track)), **fields)


def play_on(mysql: Any, name: str, *user_ids: int, period_id: int = 0) -> None:
    """Standings of players on a board, as sessions leave them."""
    [(board_id, direction)] = rows(mysql, "SELECT id, direction FROM boards WHERE name = %s", name)
    sort = Direction(direction).sort(1)
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version) "
            "VALUES (%s, %s, %s, 1, %s, 1, %s, 1)",
            [(board_id, period_id, user_id, sort, user_id) for user_id in user_ids],
        )


async def without_indexes(_places: Sequence[Place]) -> bool:
    """What a deletion is given where nobody has read the board: Redis has nothing of it."""
    return True


@asynccontextmanager
async def catalogue_of(
    settings: LeaderboardSettings, *, interval: float = 0.05, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[Catalogue]:
    """The catalogue of a process of its own, for a block."""
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    database = Database(settings, *account, pool_size=2, isolation_level="REPEATABLE READ")
    catalogue = Catalogue(database, interval=interval, clock=clock)
    await catalogue.start()
    try:
        yield catalogue
    finally:
        await catalogue.stop()
        await database.dispose()


async def make(database: Database, *definitions: Definition) -> None:
    """Make or change boards."""
    await administration.put_all(database, definitions)
