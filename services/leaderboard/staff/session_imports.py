"""The use case of an import over HTTP: the log of moderation has each one once it is over, however it ended.

The import is a task of its own. When who sent the file goes away, it ends after the group of lines that is being stored: so the
log counts all that was stored, and is written to although nobody waits.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.common.http.problems import DATABASE_AWAY
from services.common.mysql.database import Database, reason
from services.common.tokens import Caller
from services.leaderboard.moderation import entries
from services.leaderboard.moderation.entries import Act, Order
from services.leaderboard.transfers.formats import Format
from services.leaderboard.transfers.imports import Importer, Progress

# What ends an import early may keep the log from being written to as well, for a moment.
_TRIES = 5
_PAUSE_SECONDS = 1.0
_COUNTS = "lines", "stored", "repeated", "skipped", "refused"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Import:
    """An import that goes on. ``told``: how far it is, again and again, and None when it is over."""

    by: Caller
    told: asyncio.Queue[Progress | None] = field(default_factory=asyncio.Queue)
    left: bool = False


class SessionImports:
    """One process's imports over HTTP."""

    def __init__(self, importer: Importer, database: Database) -> None:
        self._importer = importer
        self._database = database
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    def begin(self) -> AbstractContextManager[None]:
        """Take a place among those that import, for a block. Raises TooManyTransfers."""
        return self._importer.begin()

    async def run(
        self, chunks: AsyncIterable[bytes], form: Format, by: Caller, *, dry_run: bool
    ) -> AsyncGenerator[Progress, None]:
        """Import a file, as `Importer.run` does. It is in the log when this ends, unless it was a dry run."""
        groups = self._importer.run(chunks, form, dry_run=dry_run)
        under_way = _Import(by)
        task = asyncio.create_task(self._go_through(groups, under_way, logged=not dry_run))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, under_way))
        try:
            while (progress := await under_way.told.get()) is not None:
                yield progress
            await task
        finally:
            under_way.left = True

    async def drain(self) -> None:
        """Return when the log has what was imported. Called when nobody waits for an import any more."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _go_through(self, groups: AsyncGenerator[Progress, None], under_way: _Import, *, logged: bool) -> None:
        progress, stopped = Progress(), "It failed."
        try:
            async with aclosing(groups):
                async for progress in groups:
                    under_way.told.put_nowait(progress)
                    if under_way.left:
                        stopped = progress.stopped or "Who sent the file went away."
                        break
                else:
                    stopped = progress.stopped or ""
        finally:
            try:
                if logged and progress.lines:
                    became = {name: getattr(progress, name) for name in _COUNTS}
                    await self._log(under_way.by, became | ({"stopped": stopped} if stopped else {}))
            finally:
                under_way.told.put_nowait(None)

    async def _log(self, by: Caller, became: dict[str, Any]) -> None:
        """Twice at worst: when a COMMIT is done and its answer is lost."""
        order = Order(by, None)

        async def add(connection: AsyncConnection) -> None:
            await entries.add(connection, Act.SESSIONS_IMPORTED, order, user_id=None, was={}, became=became)

        for left in reversed(range(_TRIES)):
            try:
                await self._database.transaction(add)
            except DATABASE_AWAY as error:
                if self._draining or not left:
                    doer = entries.doer(order)._asdict()
                    log.exception("an import is not in the log of moderation", **doer, **became, error=reason(error))
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return

    def _ended(self, under_way: _Import, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if under_way.left and error is not None:  # else who waits for it is told
            log.warning("an import failed that nobody waited for", error=reason(error))
