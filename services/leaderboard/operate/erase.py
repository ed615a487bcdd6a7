"""Erasing a player for an operator: `python -m services.leaderboard.operate.erase USER_ID`.

It does what a player may do, and in the same way.

It is not told to Redis from here: the note that the change leaves in the outbox is, within a second, by any process.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from services.common.http.problems import ServiceUnavailable
from services.common.mysql.database import Database
from services.common.settings import load_settings
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.places import Places
from services.leaderboard.players.writer import PlayerWriter
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Aheads, StandingRow
from services.leaderboard.settings import LeaderboardSettings


async def _tell_nobody(standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]) -> list[Aheads | None]:
    """Redis has not heard: the outbox keeps the note."""
    return [None] * len(standings)


async def erase(settings: LeaderboardSettings, user_id: int) -> None:
    """Take a player off every board, and erase their name and their sessions. Raises ServiceUnavailable."""
    database = Database(settings, settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value())
    places = Places(Catalogue(database), database)
    writer = PlayerWriter(
        database, settings, lambda: datetime.now(UTC), places=places, apply_and_rank=_tell_nobody, told=lambda _: None
    )
    try:
        await writer.remove(user_id)
    finally:
        await database.dispose()


def main() -> int:
    """Do it and tell. 1 when it is not known to be done; it may be asked for again, as often as one likes."""
    parser = argparse.ArgumentParser(
        prog="python -m services.leaderboard.operate.erase", description="Erase a player from every board."
    )
    parser.add_argument("user_id", type=int, help="the number that the account had")
    user_id = parser.parse_args().user_id
    try:
        asyncio.run(erase(load_settings(LeaderboardSettings), user_id))
    except (ServiceUnavailable, SQLAlchemyError) as error:
        sys.stderr.write(f"not done, or not known to be: {error or type(error).__name__}\n")
        return 1
    sys.stdout.write(f"Nothing is kept of player {user_id} any more\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
