"""Gathering: what is asked at the same time shares one round trip to a server.

What arrives while a round trip is under way shares the next one. Nothing joins a round trip that began before it arrived,
so every answer is as fresh as if it had asked alone, and nothing sleeps so that more may come: groups grow with the load
alone, and one alone waits for nobody.

Where a round trip costs much, however few are in it, few do not begin one while turns of the loop bring more: a process that is
busy reading requests would send the first of them alone, and have the others wait for it. An idle turn takes a microsecond.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Generic, TypeVar, cast

K = TypeVar("K")
R = TypeVar("R")

# A round trip that is cut short should end at once; one that does not is left alone.
_CUT_SECONDS = 1.0
# After so long a round trip is taken to wait for something, a lock perhaps, and others do not wait for it, however few.
_LONG_SECONDS = 0.05
# In the first the answers of the round trip before are sent, in the next what their receivers ask then is read. Without them
# two processes with 16 players each stored a third fewer sessions: each took the processes 323 microseconds instead of 223, and
# MySQL 160 instead of 103, since groups were smaller.
_IDLE_TURNS = 3


class GatherFull(Exception):
    """As many wait already as may. Nothing was done for this one."""


class GatherClosed(Exception):
    """It is being drained, so that the process can leave. Nothing was done for this one."""


class GatherCut(Exception):
    """It was drained, and its round trip took longer than that may: whether it was done is not known."""


class Gather(Generic[K, R]):
    """Round trips that their members share.

    ``run`` is given the members of one, in order of arrival, and gives each one's answer or error in the same order; an
    error that it raises reaches each of them. ``most``: members a round trip. ``queue``: how many may wait for the next,
    None for any number. ``lanes``: round trips under way at once. ``keep``: whether a member is still taken along when its
    caller has gone; what is under way goes on either way.

    A round trip takes no more than a lane's share of all who are under way or wait: if one took all, the process would have
    nothing to do until they are back, and the server nothing while the process reads and sends what it answered.

    ``worth``: how many make a round trip worth what it costs. So many begin at once; fewer wait for turns of the loop that
    bring nobody, and begin beside another round trip only if that takes long.
    """

    def __init__(
        self,
        run: Callable[[list[K]], Awaitable[Sequence[R | BaseException]]],
        *,
        most: int,
        queue: int | None = None,
        lanes: int = 1,
        worth: int = 1,
        keep: bool = False,
    ) -> None:
        self._run = run
        self._most = most
        self._queue = queue
        self._lanes = lanes
        self._worth = worth
        self._keep = keep
        self._waiting: deque[tuple[K, asyncio.Future[R]]] = deque()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = False
        self._impatient: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait for a round trip to begin."""
        return len(self._waiting)

    async def ask(self, member: K) -> R:
        """Take ``member`` along in a round trip that begins after this call, and give its answer, or raise its error.

        Raises GatherFull, GatherClosed and GatherCut.
        """
        if self._closed:
            raise GatherClosed
        if self._queue is not None and len(self._waiting) >= self._queue:
            raise GatherFull
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((member, answer))
        self._start_lane()
        return await answer  # a caller that is cancelled cancels its own future and nothing else

    async def ask_all(self, members: Sequence[K]) -> list[R | BaseException]:
        """Take all of ``members`` along, in their order, in as many round trips as they need. Gives each one's answer, or its
        error, which may be GatherClosed or GatherCut.

        Raises GatherFull and GatherClosed, with none of them taken along.
        """
        if self._closed:
            raise GatherClosed
        if self._queue is not None and len(self._waiting) + len(members) > self._queue:
            raise GatherFull
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[R]] = [loop.create_future() for _ in members]
        self._waiting.extend(zip(members, answers, strict=True))
        self._start_lane()
        try:
            for answer in answers:
                if not answer.done():  # by now those of its round trip are, in nearly all cases
                    await asyncio.wait([answer])
        except asyncio.CancelledError:
            for answer in answers:
                answer.cancel()
            raise
        return [answer.exception() or answer.result() for answer in answers]

    async def drain(self, seconds: float | None = None) -> None:
        """Refuse new members, and return when all that were accepted have their answers.

        After ``seconds`` those who are still under way get GatherCut, and those who wait GatherClosed.
        """
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        while self._waiting:
            _, answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(GatherClosed())
        if tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CUT_SECONDS)

    def _start_lane(self) -> None:
        """Begin a round trip, if one may."""
        if not self._waiting or self._starting or len(self._tasks) >= self._lanes:
            return
        if self._tasks and len(self._waiting) < self._worth:
            if self._impatient is None:
                self._impatient = asyncio.get_running_loop().call_later(_LONG_SECONDS, self._start_beside)
            return
        self._begin()

    def _start_beside(self) -> None:
        """Those who wait have waited long, however few they are."""
        self._impatient = None
        if self._waiting and not self._starting and len(self._tasks) < self._lanes:
            self._begin()

    def _begin(self) -> None:
        self._starting = True
        if self._impatient is not None:
            self._impatient.cancel()
            self._impatient = None
        # Not in the context of whoever happened to ask first: its request id would be in every later log line.
        task = asyncio.create_task(self._travel(), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _travel(self) -> None:
        """One round trip."""
        seen = idle = 0
        while idle < _IDLE_TURNS and len(self._waiting) < self._worth:
            idle = idle + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
            await asyncio.sleep(0)  # one turn of the loop: what has reached the process is read in it, and may ask as well
        self._starting = False
        members = self._take()
        self._start_lane()  # for those who found no place in this one
        if members:
            try:
                await self._round_trip(members)
            finally:
                self._under_way -= len(members)
        # Here and not only when the loop tells that the task is done: who was answered last may ask again before that.
        self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self._start_lane()

    def _take(self) -> list[tuple[K, "asyncio.Future[R]"]]:
        """Those who go now: first come, first served, and no more than a lane's share of all."""
        share = -(-(len(self._waiting) + self._under_way) // self._lanes)
        most = min(self._most, max(self._worth, share))
        members: list[tuple[K, asyncio.Future[R]]] = []
        while self._waiting and len(members) < most:
            member, answer = self._waiting.popleft()
            if self._keep or not answer.done():
                members.append((member, answer))
        self._under_way += len(members)
        return members

    async def _round_trip(self, members: list[tuple[K, "asyncio.Future[R]"]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._run([member for member, _ in members])
            if len(results) != len(members):
                raise RuntimeError(f"{len(results)} answers to {len(members)} members")  # noqa: TRY301 - reaches each of them
        except asyncio.CancelledError:  # by `drain`, or the loop is being closed
            for _, answer in members:
                if self._closed and not answer.done():
                    answer.set_exception(GatherCut())
                else:
                    answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to each of them
            results = [error] * len(members)
        for (_, answer), result in zip(members, results, strict=True):
            if answer.done():
                continue  # its caller has gone
            if isinstance(result, BaseException):
                answer.set_exception(result)
            else:
                answer.set_result(result)


class SharedWork(Generic[R]):
    """Work that answers a question, for all who ask the same one before it begins; who asks later shares the next.

    It is done also when every caller has gone.
    """

    def __init__(self) -> None:
        self._gathers: dict[Hashable, Gather[Callable[[], Awaitable[R]], R]] = {}

    async def ask(self, question: Hashable, work: Callable[[], Awaitable[R]]) -> R:
        """What ``work`` gives, or raises, begun after this call. Whoever asks ``question`` brings work that does the same."""
        gather = self._gathers.get(question)
        if gather is None:
            gather = self._gathers[question] = self._gather(question)
        return await gather.ask(work)

    def _gather(self, question: Hashable) -> Gather[Callable[[], Awaitable[R]], R]:
        async def run(works: list[Callable[[], Awaitable[R]]]) -> list[R]:
            try:
                answer = await works[0]()
            finally:
                if not gather.waiting:  # else it is still asked for
                    del self._gathers[question]
            return [answer] * len(works)

        gather = Gather(run, most=sys.maxsize, keep=True)
        return gather
