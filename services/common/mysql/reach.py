"""Whether MySQL answers, found out before anybody has to wait for it.

A server that hangs takes a request and never answers: whoever asks it waits for as long as a transaction may take. So one
connection of the process's own does nothing but ask, four times a second, and what waits for MySQL is cut short when it is
not answered in time.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import aiomysql
import pymysql
import structlog

from services.common.mysql.database import Database, connect, driver_options, is_unreachable, reason
from services.common.mysql.rounds import Rounds
from services.common.settings import MySQLSettings

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 0.2
# With the pause less than a second: so long a read waits for a server that hangs, at most.
UNANSWERED_SECONDS = 0.65
_FAILURES = pymysql.MySQLError, TimeoutError, OSError


class Reach:
    """Asks MySQL again and again. While it does not answer, ``databases`` refuse at once, and what waits for them is cut short.

    Refused, lost and unanswered connections count. An error that MySQL answers with, too many connections perhaps, does not:
    others may be served.
    """

    def __init__(self, settings: MySQLSettings, account: str, password: str, databases: Sequence[Database]) -> None:
        self._options = driver_options(settings, account, password)
        self._databases = databases
        self._connection: aiomysql.Connection | None = None
        self._rounds = Rounds(self._ask, _PAUSE_SECONDS, name="asking whether mysql answers")
        self._error: BaseException | None = None

    async def require(self) -> None:
        """Return when MySQL answered the last time that it was asked. Raises ConnectionError when it did not."""
        if self._error is not None:
            raise ConnectionError(f"MySQL: {reason(self._error)}")

    async def start(self) -> None:
        """Ask once, and begin to ask again and again."""
        await self._rounds.attempt()
        self._rounds.start(later=True)

    async def stop(self) -> None:
        """End."""
        await self._rounds.stop()
        self._drop()

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(UNANSWERED_SECONDS):
                await self._ping()
        except _FAILURES as error:
            self._drop()
            self._found(error, reachable=not (is_unreachable(error) or isinstance(error, TimeoutError)))
        else:
            self._found(None, reachable=True)

    async def _ping(self) -> None:
        if self._connection is None:
            self._connection = await connect(**self._options, autocommit=True)
        await self._connection.ping(reconnect=False)

    def _found(self, error: BaseException | None, *, reachable: bool) -> None:
        if (error is None) != (self._error is None):
            if error is None:
                log.info("mysql answers")
            else:
                log.warning("mysql does not answer as it should", error=reason(error))
        self._error = error
        for database in self._databases:
            database.reachable = reachable

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # it is broken, perhaps in a way that closing it tells of
                self._connection.close()
            self._connection = None
