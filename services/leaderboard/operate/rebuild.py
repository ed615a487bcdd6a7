"""Building every index anew, for an operator: `python -m services.leaderboard.operate.rebuild`, even where it is complete.

After a restore of the database it is what has its indexes no longer believed.
"""

import asyncio
import sys

from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import Database
from services.common.settings import load_settings
from services.leaderboard.index.build import Lost, Outcome, build
from services.leaderboard.index.connection import UNAVAILABLE
from services.leaderboard.index.epoch import renew_epoch
from services.leaderboard.operate.progress import Bar
from services.leaderboard.rules.places import MAIN, MAIN_RANKED
from services.leaderboard.rules.standings import StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.standings import table

COMMAND_SECONDS = 600.0
"""What MySQL may take for one question of somebody's who waits at a terminal: it may be about very many rows."""
_WAIT_SECONDS = 0.2
_TOLD = {
    Outcome.SMALL: "The main board has too few players for an index: MySQL answers",
    Outcome.FULL: "Redis has no room for the main board's index: MySQL answers",
}


async def rebuild(settings: LeaderboardSettings) -> Outcome:
    """Set another epoch, and build the main board's index in it, with a progress bar. Whoever else builds it is waited for.

    All other indexes are built anew when they are read.
    """
    settings = settings.model_copy(update={"mysql_timeout": COMMAND_SECONDS})
    database = Database(settings, settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value())
    try:
        await database.transaction(renew_epoch)
        async with database.reading() as connection:
            bar = Bar("Main board", await table.count_rows(connection, MAIN))

        async def advance(rows: list[StandingRow]) -> None:
            bar.advance(len(rows))

        outcome = await build(database, settings, MAIN_RANKED, advance)
        while outcome in (Outcome.HELD, Outcome.OVERTAKEN):
            await asyncio.sleep(_WAIT_SECONDS)
            outcome = await build(database, settings, MAIN_RANKED, advance)
        bar.done()
    finally:
        await database.dispose()
    return outcome


def main() -> int:
    """Do it and tell."""
    try:
        outcome = asyncio.run(rebuild(load_settings(LeaderboardSettings)))
    except (Lost, *UNAVAILABLE, SQLAlchemyError) as error:
        sys.stderr.write(f"the index could not be built: {error or type(error).__name__}\n")
        return 1
    sys.stdout.write(f"{_TOLD.get(outcome, 'The index of the main board is built')}; others are when they are read\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
