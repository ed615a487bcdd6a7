"""Building every index anew, for an operator: `python -m services.leaderboard.operate.rebuild`, even where it is complete."""

import asyncio
import sys
import uuid

from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import Database
from services.common.settings import load_settings
from services.leaderboard.boards import definitions
from services.leaderboard.index.build import Lost, build
from services.leaderboard.index.connection import UNAVAILABLE
from services.leaderboard.index.writer import Begun
from services.leaderboard.operate.progress import Bar
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import table

COMMAND_SECONDS = 600.0
"""What MySQL may take for one question of somebody's who waits at a terminal: it may be about very many rows."""
_WAIT_SECONDS = 0.2


async def rebuild(settings: LeaderboardSettings) -> None:
    """Build every index anew, with a progress bar. Whoever else builds one is waited for."""
    settings = settings.model_copy(update={"mysql_timeout": COMMAND_SECONDS})
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    database, cause = Database(settings, *account), f"asked {uuid.uuid4().hex}"
    try:
        async with database.reading() as connection:
            places = await definitions.list_places(connection)
        for at in places:
            async with database.reading() as connection:
                total = await table.count_rows(connection, at)
            bar = Bar(f"Board {at.board_id}, period {at.period_id}", total)

            async def advance(rows: list[StandingRow], bar: Bar = bar) -> None:
                bar.advance(len(rows))

            while await build(database, settings, at, cause, advance) is Begun.HELD:  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(_WAIT_SECONDS)
            bar.done()
    finally:
        await database.dispose()


if __name__ == "__main__":
    try:
        asyncio.run(rebuild(load_settings(LeaderboardSettings)))
    except (Lost, *UNAVAILABLE, SQLAlchemyError) as error:
        sys.exit(f"the index could not be built: {error or type(error).__name__}")
