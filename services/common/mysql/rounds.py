"""Rounds: what a process does again and again in the background, for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.common.mysql.database import reason

log = structlog.get_logger(__name__)

FAILURES: tuple[type[Exception], ...] = SQLAlchemyError, TimeoutError, OSError
"""What MySQL's own failures are raised as."""


class Rounds:
    """The rounds of ``work``. Each begins ``interval`` seconds after the one before has ended; after one that failed, ``retry``
    seconds after it, if that is given.

    That a round raised one of ``failures`` is logged once, as ``failing``, until a round succeeds. Any other error is a defect:
    it is logged by the ``name`` of what is done, and the next round is done all the same.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[object]],
        interval: float,
        *,
        name: str,
        failing: str = "",
        failures: tuple[type[Exception], ...] = FAILURES,
        retry: float | None = None,
    ) -> None:
        self._work = work
        self._interval = interval
        self._retry = interval if retry is None else retry
        self._name = name
        self._message = failing
        self._failures = failures if failing else ()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stopping = False
        """Whether a round under way is to come to its end."""
        self.failing = False
        """Whether it has been said that rounds fail."""

    def start(self, *, later: bool = False) -> None:
        """Begin in the background. ``later``: a round has just been done."""
        self._task = asyncio.create_task(self._go_round(later=later), name=self._name)

    async def stop(self) -> None:
        """End. A round under way is cancelled."""
        self.stopping = True  # a library on the way may make an error of its own of a cancellation
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def wake(self) -> None:
        """Begin the next round at once, but not sooner than a round that failed is tried again."""
        self._woken.set()

    async def attempt(self) -> bool:
        """Do a round, whoever asks for it. Gives whether it succeeded."""
        try:
            await self._work()
        except self._failures as error:
            if not self.failing:
                log.warning(self._message, error=reason(error))
            self.failing = True
        except Exception:  # a defect must not end the rounds
            log.exception("a round failed", doing=self._name)
        else:
            self.failing = False
            return True
        return False

    async def _go_round(self, *, later: bool) -> None:
        succeeded = later or await self.attempt()
        while not self.stopping:
            if succeeded:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._woken.wait()
            else:
                await asyncio.sleep(self._retry)
            self._woken.clear()
            succeeded = await self.attempt()
