"""Argon2id in a bounded pool, never on the event loop."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.auth.errors import PasswordQueueFull
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


class Passwords:
    """Hashes and checks passwords in as many threads as there are cores: Argon2 releases the GIL.

    What waits for a thread is bounded in number and in time, so a flood of logins costs memory for ``password_workers``
    hashes and no more, and those beyond the bound are told at once. Raises PasswordQueueFull.
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
        self._workers = asyncio.Semaphore(settings.password_workers)
        self._room = settings.password_workers + settings.password_queue
        self._seconds = settings.password_queue_seconds
        # What a login for an unknown name is checked against: the same work, and never right.
        self._nobody = self._hasher.hash("nobody has this password")

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

    def needs_rehash(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters than the settings'."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads when what they do is done."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._room <= 0:
            raise PasswordQueueFull("Try again in a moment.")
        self._room -= 1
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._workers.acquire()
            except TimeoutError:
                raise PasswordQueueFull("Try again in a moment.") from None
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
            # The thread cannot be stopped: its place is free when it is done, even if its caller has gone.
            running.add_done_callback(lambda _: self._workers.release())
            return await asyncio.shield(running)
        finally:
            self._room += 1
