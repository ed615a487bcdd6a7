"""One piece of work for many who ask for it at once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one piece of work a key at a time and gives its result, or its error, to all who wait for it.

    A caller that goes away leaves the work to the others.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def share(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Join the work for ``key`` that is under way, or start it: right when ``key`` says all that the result depends on."""
        task = self._running.get(key)
        if task is None:
            task = self._start(key, work)
        return await asyncio.shield(task)

    async def share_fresh(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Join or start work for ``key`` that begins after this call, so that its result is no older than the question.

        All who ask while one is under way share the next.
        """
        running = self._running.get(key)
        if running is None:
            return await asyncio.shield(self._start(key, work))
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._follow(running, key, work))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    def _start(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        async def run() -> T:
            return await work()

        task = self._running[key] = asyncio.create_task(run())

        def done(finished: asyncio.Task[T]) -> None:
            if self._running.get(key) is finished:
                del self._running[key]
            _retrieve(finished)

        task.add_done_callback(done)
        return task

    async def _follow(self, before: asyncio.Task[T], key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        await asyncio.wait([before])
        # From here on it is the one under way: who asks now must wait for one that begins later.
        del self._next[key]
        return await self._start(key, work)


def _retrieve(task: "asyncio.Task[T]") -> None:
    """Look at the error, if there is one: when every caller has gone, nobody else does."""
    if not task.cancelled():
        task.exception()
