"""Long work in turns: a little of it in each turn of the loop, so that nobody else in the process waits for all of it."""

import asyncio
from collections.abc import Iterable
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


class Turns:
    """One process's. A turn is one worker's alone, first come, first served: so several take no more of the loop than one.

    Whoever else is served by the process waits for ``seconds`` at most, each time that it comes back to the loop. With a
    ``rest``, in seconds, work that fills turn after turn pauses for that long after each of them, until `rests_until`.
    """

    def __init__(self, seconds: float = 0.001, *, rest: float = 0.0) -> None:
        self._seconds = seconds
        self._rest = rest
        self._worked = 0.0
        self._lock = asyncio.Lock()
        self.rests_until = 0.0
        """By `perf_counter`: what is not done by then is done without rests, so that rests never make work pile up."""

    async def take(self) -> float:
        """Wait for a turn, which ends with the next `await`. Gives until when it may last, by `perf_counter`."""
        await self._lock.acquire()
        try:
            if self._worked >= self._seconds:
                self._worked = 0.0
                if self._rest and perf_counter() < self.rests_until:
                    await asyncio.sleep(self._rest)
        finally:
            # The loop comes to this when it has served everybody else who was ready.
            asyncio.get_running_loop().call_soon(self._lock.release)
        return perf_counter() + self._seconds - self._worked

    async def run(self, steps: Iterable[T]) -> list[T]:
        """What all the steps give, over as many turns as they take. A step must be much shorter than a turn."""
        done: list[T] = []
        remaining = iter(steps)
        while True:
            until = await self.take()
            began = perf_counter()
            try:
                for step in remaining:
                    done.append(step)
                    if perf_counter() >= until:
                        break
                else:
                    return done
            finally:
                self._worked += perf_counter() - began
