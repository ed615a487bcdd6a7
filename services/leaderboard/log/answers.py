"""What submissions with a client's key were answered with: kept with their sessions, so that a repeat is told the same.

Known only when the session is committed and Redis has told the rank, so it takes another transaction. It goes along with the
next group's, or soon in one of its own when no group comes, and no answer waits for it. A repeat that comes before that to
another process, or after this one was killed, is told the total and rank of its own time.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import CommitUnknown
from services.common.mysql.multistatement import Transaction, Transactions
from services.leaderboard.log import sessions
from services.leaderboard.log.sessions import Answer, Stored

log = structlog.get_logger(__name__)

SOON_SECONDS = 0.1
AT_ONCE = 500
# While MySQL does not answer there is nothing new to remember, but for what was under way.
MOST = 10_000


class Answers:
    """Those of one process that MySQL does not have yet."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._waiting: dict[int, Answer] = {}
        self._travelling: dict[int, Answer] = {}
        self._soon: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    def keep(self, stored: Stored, answer: Answer) -> Answer:
        """What is told about a session: what was told first, if that is known; else ``answer``, from now on."""
        first = stored.answer or self._travelling.get(stored.session_id) or self._waiting.get(stored.session_id)
        if first is not None:
            return first
        if len(self._waiting) < MOST:
            self._waiting[stored.session_id] = answer
        self._send_soon()
        return answer

    @contextmanager
    def travelling(self) -> Iterator[Mapping[int, Answer]]:
        """Some of what waits, which the block commits, or raises."""
        batch = dict(islice(self._waiting.items(), AT_ONCE))
        for session_id in batch:
            del self._waiting[session_id]
        self._travelling |= batch
        try:
            yield batch
        except BaseException:
            self._waiting |= batch
            raise
        finally:
            for session_id in batch:
                del self._travelling[session_id]

    async def drain(self) -> None:
        """Return when MySQL has all of them, or will not have them."""
        if self._soon is not None:
            self._soon.cancel()
        if self._sending is not None:
            await self._sending
        await self._send_all()

    def _send_soon(self) -> None:
        if self._soon is None and self._sending is None:
            self._soon = asyncio.get_running_loop().call_later(SOON_SECONDS, self._begin)

    def _begin(self) -> None:
        self._soon = None
        if self._waiting:  # else a group took them along
            self._sending = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._waiting and await self._send():
                pass
        finally:
            self._sending = None

    async def _send(self) -> bool:
        """Send some of them alone. False when MySQL could not."""
        try:
            with self.travelling() as batch:
                await self._transactions.attempt(lambda transaction: _store(transaction, batch))
        except (CommitUnknown, SQLAlchemyError, TimeoutError, OSError) as error:
            log.warning("answers not kept", answers=len(self._waiting), error=str(error) or type(error).__name__)
            return False
        return True


async def _store(transaction: Transaction, answers: Mapping[int, Answer]) -> None:
    await transaction.send(sessions.keeping(answers))
