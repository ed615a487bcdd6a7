"""What a process exports and imports with: connections of its own, so that neither keeps players waiting."""

from collections.abc import Callable

from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transactions
from services.leaderboard.boards.catalogue import Catalogue
from services.leaderboard.boards.places import Places
from services.leaderboard.log.writer import BATCH_LANES, ApplyAndRank, Writer
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.transfers import exports, imports
from services.leaderboard.transfers.exports import BulkExports
from services.leaderboard.transfers.imports import Importer


class Transfers:
    """One process's exports and imports. ``apply_and_rank`` and ``told`` are the writer's."""

    def __init__(
        self,
        settings: LeaderboardSettings,
        catalogue: Catalogue,
        places: Places,
        *,
        apply_and_rank: ApplyAndRank,
        told: Callable[[int], None],
    ) -> None:
        account = settings.leaderboard_mysql_user, settings.leaderboard_mysql_password.get_secret_value()
        self._reads = Database(settings, *account, pool_size=exports.AT_ONCE, isolation_level="REPEATABLE READ")
        self._lookups = Database(settings, *account, pool_size=imports.AT_ONCE)
        self._groups = Transactions(settings, *account, connections=BATCH_LANES)
        self._writer = Writer(
            self._groups, settings, places=places, apply_and_rank=apply_and_rank, ranks=imports.no_ranks, told=told
        )
        self.exports = BulkExports(self._reads, catalogue, places)
        self.importer = Importer(self._lookups, places, imports.store_with(self._writer), catalogue.clock.now)

    def leave(self) -> None:
        """The process is asked to end: nothing more is imported."""
        self.importer.leave()

    async def drain(self) -> None:
        """Return when what was accepted is stored, or was given its time to be."""
        await self._writer.drain()

    async def dispose(self) -> None:
        """Close every connection."""
        for each in (self._reads, self._lookups, self._groups):
            await each.dispose()
