"""Transactions whose statements travel together: a round trip costs more than most statements do.

MySQL runs several statements that come in one packet one after the other, until one fails, and answers each. SQLAlchemy reads
the first answer only, so this is the driver itself, with the driver's own pool, and SQLAlchemy's errors.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import aiomysql
import pymysql

from services.common.mysql.database import SESSION, CommitUnknown, connecting, driver_options, wrapped
from services.common.settings import MySQLSettings

T = TypeVar("T")

_RECYCLE_SECONDS = 1800
# With these the server ends the connection: it is being shut down, somebody killed the connection, or it was idle too long.
_ENDED = (1053,), (1927,), (4031,)
_CLIENT_ERRORS = range(2000, 3000)


class Result(NamedTuple):
    """What one statement was answered with."""

    rows: Sequence[Any]
    affected_rows: int
    insert_id: int


class Transaction:
    """One open transaction, which ends with `commit`."""

    def __init__(self, connection: aiomysql.Connection) -> None:
        self._connection = connection
        self._answered = 0
        self.committing = self.committed = False
        """Whether COMMIT has been sent, and answered."""

    async def send(self, *statements: str) -> list[Result]:
        """Run ``statements`` in one round trip and give each one's result.

        Nothing is bound here: a statement must hold no value but numbers and hexadecimal literals of our own making.

        Raises the error of the first that fails; those before it have been run then, those after it have not.
        """
        cursor = await self._connection.cursor()
        self._answered = 0
        await cursor.execute(";".join(statements))
        results: list[Result] = []
        more = True
        while more:
            rows = await cursor.fetchall() if cursor.description else ()
            results.append(Result(rows, cursor.rowcount, cursor.lastrowid))
            self._answered = len(results)
            more = await cursor.nextset()
        return results

    async def commit(self, *statements: str) -> list[Result]:
        """Run ``statements`` and COMMIT in one round trip, and give the results of the former.

        Raises CommitUnknown when it was COMMIT that was not answered, or was answered with an error.
        """
        self.committing = True
        try:
            *results, _ = await self.send(*statements, "COMMIT")
        except pymysql.MySQLError as error:
            # An error that the server answers a statement with ends the packet: COMMIT was not run.
            self.committing = self._connection.closed or not _is_answer(error) or self._answered == len(statements)
            raise
        self.committed = True
        return results


class Transactions:
    """MySQL as one service's account sees it, READ COMMITTED, on at most ``connections`` connections."""

    def __init__(self, settings: MySQLSettings, account: str, password: str, *, connections: int) -> None:
        self._timeout = settings.mysql_timeout
        self._connections = connections
        self._options = {
            **driver_options(settings, account, password),
            "init_command": f"{SESSION}; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        }
        self._pool: aiomysql.Pool | None = None

    async def attempt(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run ``work`` in a transaction, once. It ends with `Transaction.commit`.

        Raises what ``work`` raises, and DBAPIError or TimeoutError when MySQL refuses or does not answer in time: then
        nothing was stored. Raises CommitUnknown when it was the COMMIT that was not answered.
        """
        if self._pool is None:
            # Its connections are opened when they are needed; here, since it belongs to the loop that runs.
            self._pool = aiomysql.Pool(
                0, self._connections, False, _RECYCLE_SECONDS, asyncio.get_running_loop(), **self._options
            )
        transaction: Transaction | None = None
        lost = False
        try:
            async with asyncio.timeout(self._timeout):
                with connecting():
                    connection = await self._pool.acquire()
                try:
                    transaction = Transaction(connection)
                    result = await work(transaction)
                    if not transaction.committed:
                        raise RuntimeError("the transaction was not committed")  # noqa: TRY301 - it is rolled back here
                except BaseException:
                    lost = connection.closed
                    connection.close()  # so that the server rolls back, whatever state this is in
                    raise
                finally:
                    await self._pool.release(connection)
        except (pymysql.MySQLError, TimeoutError, OSError) as error:
            if transaction is not None and transaction.committing:
                raise CommitUnknown from error
            if isinstance(error, pymysql.MySQLError):
                raise wrapped(error, lost=lost or error.args[:1] in _ENDED) from error
            raise
        return result

    async def dispose(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.terminate()
            await self._pool.wait_closed()


def _is_answer(error: pymysql.MySQLError) -> bool:
    """Whether the server said so, and goes on serving the connection. The client's own errors are from 2000 on."""
    code = error.args[0] if error.args else None
    return isinstance(code, int) and code > 0 and code not in _CLIENT_ERRORS and (code,) not in _ENDED
