"""Boards as code: `python -m services.leaderboard.operate.boards FILE` makes and changes those that a TOML file names.

Others are left alone. `-` is what comes in; without a file it is the one that a new system begins with. `--dry-run` tells what
would be done. A file with a fault changes nothing, and every fault is told with its place.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from services.common.http.problems import Problem
from services.common.mysql.database import Database, reason
from services.common.settings import load_settings
from services.leaderboard.boards import administration, deletion
from services.leaderboard.boards.administration import BoardsConflict
from services.leaderboard.boards.change import Change
from services.leaderboard.boards.document import Fault, InvalidDocument, parse_toml
from services.leaderboard.index.build import PATIENCE_SECONDS
from services.leaderboard.index.connection import RedisConnection
from services.leaderboard.index.writer import IndexWriter
from services.leaderboard.operate.rebuild import COMMAND_SECONDS
from services.leaderboard.settings import LeaderboardSettings

DEFAULT = Path(__file__).parents[1] / "boards" / "default.toml"
_WITHOUT_REDIS = ". Its name stays taken until Redis answers: then the service removes its indexes, and the name is free"
_FAILURES = SQLAlchemyError, TimeoutError, OSError


def _database(settings: LeaderboardSettings) -> Database:
    settings = settings.model_copy(update={"mysql_timeout": COMMAND_SECONDS})
    return Database(settings, settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value())


async def apply(settings: LeaderboardSettings, data: bytes, *, dry_run: bool = False) -> list[Change]:
    """Make and change the boards that a file names. Raises InvalidDocument and BoardsConflict, with nothing changed."""
    definitions = parse_toml(data)
    database = _database(settings)
    try:
        if dry_run:
            return await administration.plan(database, definitions)
        return await administration.put_all(database, definitions)
    finally:
        await database.dispose()


async def delete(settings: LeaderboardSettings, name: str) -> bool:
    """Delete a board and its standings. Gives whether Redis has heard of it: else the board's name is still taken.

    Raises BoardNotFound, and BoardConflict for a board that is not closed.
    """
    database = _database(settings)
    redis = RedisConnection(settings, PATIENCE_SECONDS)
    try:
        return await deletion.delete(database, name, IndexWriter(redis).forget)
    finally:
        await redis.aclose()
        await database.dispose()


def main() -> int:
    """Do it and tell, a line a board. 1 when nothing was done, or when it is not known what was: it may be run again."""
    arguments = _parser().parse_args()
    settings = load_settings(LeaderboardSettings)
    try:
        if arguments.delete is not None:
            gone = asyncio.run(delete(settings, arguments.delete))
            sys.stdout.write(f"{arguments.delete}: deleted{'' if gone else _WITHOUT_REDIS}\n")
            return 0
        data = sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
        changes = asyncio.run(apply(settings, data, dry_run=arguments.dry_run))
    except (InvalidDocument, BoardsConflict) as error:
        return _refuse(error.faults)
    except Problem as problem:
        sys.stderr.write(f"{problem.detail}\n")
        return 1
    except _FAILURES as error:
        sys.stderr.write(f"not done, or not known to be: {reason(error)}\n")
        return 1
    would = "would be " if arguments.dry_run else ""
    for change in changes:
        sys.stdout.write(f"{change.tell(would)}\n")
    return 0


def _refuse(faults: Iterable[Fault]) -> int:
    sys.stderr.write("Nothing was changed:\n")
    for fault in faults:
        sys.stderr.write(f"  {fault}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.leaderboard.operate.boards", description="Make and change the boards that a file names."
    )
    parser.add_argument("file", nargs="?", default=str(DEFAULT), help="a TOML file; - is what comes in")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and change nothing")
    parser.add_argument("--delete", metavar="BOARD", help="delete a board that is closed, and its standings")
    return parser


if __name__ == "__main__":
    sys.exit(main())
