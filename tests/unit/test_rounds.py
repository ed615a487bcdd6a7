"""Work in rounds goes on after whatever goes wrong, pauses between them, and ends when it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from services.common.mysql import rounds as module
from services.common.mysql.rounds import Rounds

NEVER = 3600.0
FAILING = "it cannot be done, trying again"
Work = Callable[[], Coroutine[Any, Any, None]]


class Doing:
    """What each round does: the first ones fail as they are told to."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = [*errors]
        self._begun: asyncio.Queue[int] = asyncio.Queue()
        self.rounds = 0

    async def __call__(self) -> None:
        self.rounds += 1
        self._begun.put_nowait(self.rounds)
        if self._errors and (error := self._errors.pop(0)):
            raise error

    async def begun(self, rounds: int) -> None:
        """Return when as many rounds have begun."""
        async with asyncio.timeout(10):
            while await self._begun.get() < rounds:
                pass


@asynccontextmanager
async def going(
    work: Work, interval: float = NEVER, *, later: bool = False, retry: float | None = None
) -> AsyncIterator[Rounds]:
    rounds = Rounds(work, interval, name="doing it", failing=FAILING, retry=retry)
    rounds.start(later=later)
    yield rounds
    await rounds.stop()


async def test_the_first_round_is_done_at_once_and_the_next_after_the_pause() -> None:
    work = Doing()
    async with going(work, 0.05):
        await work.begun(1)
        assert work.rounds == 1
        await work.begun(3)


async def test_who_has_just_done_a_round_pauses_before_the_next() -> None:
    work = Doing()
    async with going(work, later=True) as rounds:
        await asyncio.sleep(0.02)
        assert not work.rounds
        rounds.wake()
        await work.begun(1)


async def test_a_round_that_is_woken_during_another_follows_it_at_once() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    work = Doing()

    async def held() -> None:
        await work()
        begun.set()
        await go_on.wait()

    async with going(held) as rounds:
        await begun.wait()
        rounds.wake()
        go_on.set()
        await work.begun(2)
        await asyncio.sleep(0.02)
        assert work.rounds == 2


async def test_a_round_that_failed_is_not_tried_again_sooner_because_somebody_wakes() -> None:
    work = Doing(OSError("away"))
    async with going(work) as rounds:
        await work.begun(1)
        rounds.wake()
        await asyncio.sleep(0.02)
        assert work.rounds == 1


async def test_a_round_that_failed_may_be_tried_again_sooner_than_another_is_done() -> None:
    work = Doing(OSError("away"))
    async with going(work, retry=0.01):
        await work.begun(2)
        await asyncio.sleep(0.05)
        assert work.rounds == 2


async def test_a_failure_is_said_once_until_a_round_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    said = LogCapture()
    monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[said]))
    away = OSError("away")
    work = Doing(away, away, None, away, ValueError("a defect"), None)
    async with going(work, 0.001):
        await work.begun(7)
    assert [each["event"] for each in said.entries] == [FAILING, FAILING, "a round failed"]


@pytest.mark.parametrize("answer", [None, ValueError("made of a cancellation")])
async def test_stopping_cancels_the_round_and_begins_no_other(answer: Exception | None) -> None:
    begun, ended = asyncio.Event(), 0

    async def hang() -> None:
        nonlocal ended
        begun.set()
        try:
            await asyncio.sleep(NEVER)
        finally:
            ended += 1
            if answer:
                raise answer

    async with asyncio.timeout(10):
        async with going(hang, 0.0) as rounds:
            await begun.wait()
    assert ended == 1
    assert rounds.stopping


async def test_rounds_that_never_began_can_be_stopped() -> None:
    await Rounds(Doing(), NEVER, name="doing it").stop()
