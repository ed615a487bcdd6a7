"""Long work leaves the loop to others between its turns, however many work at once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from time import perf_counter, sleep

import pytest

from services.common.turns import Turns

STEP_SECONDS, _TURN_SECONDS = 0.0005, 0.001


def steps(count: int) -> Iterator[int]:
    for number in range(count):
        sleep(STEP_SECONDS)
        yield number


async def test_every_step_is_done_in_its_order() -> None:
    turns = Turns()
    assert await turns.run(steps(20)) == list(range(20))
    assert await turns.run(iter(())) == []


async def test_whoever_else_is_ready_is_served_after_each_turn() -> None:
    """Of five who work at once no two have a turn in the same turn of the loop."""
    turns, served = Turns(), 0
    done: list[int] = []  # in which turn of the loop each step was

    def noting(count: int) -> Iterator[int]:
        for number in steps(count):
            done.append(served)
            yield number

    working = [asyncio.create_task(turns.run(noting(40))) for _ in range(5)]
    while not all(task.done() for task in working):
        await asyncio.sleep(0)
        served += 1
    assert [task.result() for task in working] == [list(range(40))] * 5
    assert max(Counter(done).values()) <= _TURN_SECONDS / STEP_SECONDS + 1


async def test_one_who_leaves_keeps_nobody_waiting() -> None:
    turns = Turns()
    working = [asyncio.create_task(turns.run(steps(40))) for _ in range(3)]
    await asyncio.sleep(0)
    for task in working[:2]:
        task.cancel()
    async with asyncio.timeout(10):
        assert await working[2] == list(range(40))


async def test_an_error_of_a_step_reaches_who_asked_for_it() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    turns = Turns()
    with pytest.raises(LookupError):
        await turns.run(failing())
    assert await turns.run([1]) == [1]


async def test_work_that_fills_its_turns_rests_between_them_for_as_long_as_it_may() -> None:
    turns = Turns(_TURN_SECONDS, rest=0.05)
    took: list[float] = []
    for rests_until in (0.0, perf_counter() + 60):
        turns.rests_until = rests_until
        began = perf_counter()
        assert await turns.run(steps(10)) == list(range(10))
        took.append(perf_counter() - began)
    assert took[1] >= took[0] + 0.05
