"""Argon2id in a bounded pool, never on the event loop."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.auth.audit.clients import Client
from services.auth.passwords.queue import FairQueue
from services.auth.settings import AuthSettings

T = TypeVar("T")

NICENESS = 5


def _come_after_the_loop() -> None:
    """Give the processor to the event loop first: a hash may take longer, but nobody else's answer does.

    On Linux a thread has a priority of its own. Without this a container's share, or a busy machine's, is divided evenly
    between the loop and the hashes: 64 logins at once took the 99th percentile of `/auth/me` from 0.2 s to 3 s there.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


class Turn:
    """A request's turn in the queue, without which no password is hashed. It hashes one at a time."""

    def __init__(self, hasher: PasswordHasher, nobody: str, pool: ThreadPoolExecutor) -> None:
        self._hasher = hasher
        self._nobody = nobody
        self._pool = pool
        self.running: asyncio.Future[Any] | None = None

    async def hash(self, password: str) -> str:
        """The hash to store for a password in its normal form."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one that was hashed; None, for no such account, costs the same and is False."""

        def check() -> bool:
            try:
                return self._hasher.verify(stored or self._nobody, password) and stored is not None
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(check)

    async def _run(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        self.running = running
        return await asyncio.shield(running)


class Passwords:
    """Hashes and checks passwords in as many threads as there are cores: Argon2 releases the GIL.

    What waits for its turn is bounded in number and in time. So a flood of logins costs memory for ``password_workers``
    hashes and no more, and an address that floods waits for itself (FairQueue).
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
        )
        self._pool = ThreadPoolExecutor(
            settings.password_workers, thread_name_prefix="argon2", initializer=_come_after_the_loop
        )
        self._queue = FairQueue(
            # Enough that every worker always has its next password: more at once would keep the loop from everybody else.
            at_once=2 * settings.password_workers,
            most=settings.password_queue,
            most_by_network=settings.password_queue_per_address,
            seconds=settings.password_queue_seconds,
        )
        # What a login for an unknown name is checked against: the same work, and never right.
        self._nobody = self._hasher.hash("nobody has this password")

    @asynccontextmanager
    async def turn(self, client: Client, account: bytes | None = None) -> AsyncIterator[Turn]:
        """Wait for a turn, and have it. Turns for one ``account`` come one after the other. Raises PasswordQueueFull."""
        place = await self._queue.enter(client.network, account)
        turn = Turn(self._hasher, self._nobody, self._pool)
        try:
            yield turn
        finally:
            if turn.running is None or turn.running.done():
                self._queue.leave(place)
            else:  # its caller has gone, but a thread cannot be stopped: the turn is over when the thread is done
                turn.running.add_done_callback(lambda _: self._queue.leave(place))

    async def hash(self, password: str, client: Client) -> str:
        """The hash to store for a password in its normal form, in a turn of its own. Raises PasswordQueueFull."""
        async with self.turn(client) as turn:
            return await turn.hash(password)

    def needs_rehash(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters than the settings'."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads when what they do is done."""
        self._pool.shutdown(wait=True, cancel_futures=True)
