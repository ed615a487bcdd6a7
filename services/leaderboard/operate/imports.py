"""Sessions of a file: `python -m services.leaderboard.operate.imports FILE` imports NDJSON or CSV, of whatever size.

`-` is what comes in. `--dry-run` tells what would be done. A bad line fails no other, and is told with its number. Run again,
what is stored is not stored twice.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from sqlalchemy.exc import SQLAlchemyError

from services.common.http.problems import InvalidRequest
from services.common.mysql.database import Database, reason
from services.common.settings import load_settings
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.places import Places
from services.leaderboard.operate.progress import Bar
from services.leaderboard.rules.places import Ranked
from services.leaderboard.rules.standings import Aheads, StandingRow
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.transfers.formats import Format
from services.leaderboard.transfers.imports import MOST_TOLD, Importer, Progress
from services.leaderboard.transfers.lines import has_json
from services.leaderboard.transfers.process import Transfers

_PIECE = 256 * 1024
# What MySQL may take for a group of lines: longer than players wait, since nobody does.
_SECONDS = 60.0


async def _tell_nobody(standings: Sequence[tuple[Ranked, Sequence[StandingRow]]]) -> list[Aheads | None]:
    """Redis has not heard: the outbox keeps the note, and any process tells it within a second."""
    return [None] * len(standings)


@asynccontextmanager
async def opened(settings: LeaderboardSettings) -> AsyncIterator[Importer]:
    """What imports into the system that the settings name."""
    settings = settings.model_copy(update={"mysql_timeout": _SECONDS})
    account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
    database = Database(settings, *account)
    definitions = Database(settings, *account, pool_size=2, isolation_level="REPEATABLE READ")
    catalogue = Catalogue(definitions)
    transfers = Transfers(settings, catalogue, Places(catalogue, database), apply_and_rank=_tell_nobody, told=lambda _: None)
    try:
        await catalogue.refresh()  # or fail
        await catalogue.start()
        yield transfers.importer
    finally:
        await transfers.drain()
        await catalogue.stop()
        for each in (transfers, definitions, database):
            await each.dispose()


async def run(settings: LeaderboardSettings, file: BinaryIO, size: int, *, dry_run: bool = False) -> Progress:
    """Import a file of about so many bytes, with a progress bar. Raises InvalidRequest for one that cannot be read at all."""
    bar = Bar("Bytes", size)
    first = file.read(_PIECE)

    async def chunks() -> AsyncIterator[bytes]:
        piece = first
        while piece:
            yield piece
            bar.advance(len(piece))
            piece = await asyncio.to_thread(file.read, _PIECE)

    progress = Progress()
    async with opened(settings) as importer:
        form = Format.NDJSON if has_json(first) else Format.CSV
        async for told in importer.run(chunks(), form, dry_run=dry_run):
            progress = told
    bar.done()
    return progress


def main() -> int:
    """Do it and tell. 1 when a line was refused, or when it did not come to its end: it may be run again."""
    arguments = _parser().parse_args()
    settings = load_settings(LeaderboardSettings)
    try:
        if arguments.file == "-":
            progress = asyncio.run(run(settings, sys.stdin.buffer, arguments.size, dry_run=arguments.dry_run))
        else:
            path = Path(arguments.file)
            with path.open("rb") as file:
                progress = asyncio.run(run(settings, file, path.stat().st_size, dry_run=arguments.dry_run))
    except InvalidRequest as error:
        sys.stderr.write(f"Nothing was imported: {error.detail}\n")
        return 1
    except (SQLAlchemyError, TimeoutError, OSError) as error:
        sys.stderr.write(f"not done, or not known to be: {reason(error)}. It can be run again\n")
        return 1
    for fault in progress.faults:
        sys.stderr.write(f"line {fault.line}: {fault.detail}\n")
    if progress.refused > len(progress.faults):
        sys.stderr.write(f"and {progress.refused - MOST_TOLD:,} more\n")
    would = "would be " if arguments.dry_run else ""
    sys.stdout.write(
        f"{progress.lines:,} lines: {progress.stored:,} {would}stored, {progress.repeated:,} stored before, "
        f"{progress.skipped:,} skipped, {progress.refused:,} refused\n"
    )
    if progress.stopped is not None:
        sys.stderr.write(f"It did not come to its end: {progress.stopped} It can be run again\n")
    return int(progress.stopped is not None or progress.refused > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.leaderboard.operate.imports", description="Import the game sessions of a file."
    )
    parser.add_argument("file", help="an NDJSON or CSV file; - is what comes in")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and store nothing")
    parser.add_argument("--size", type=int, default=0, metavar="BYTES", help="how large what comes in is, for the progress bar")
    return parser


if __name__ == "__main__":
    sys.exit(main())
