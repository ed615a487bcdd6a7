"""Shared work: done once for many who ask, and never an answer older than the question."""

import asyncio

import pytest

from services.common.gather import SharedWork


class Work:
    """Counts its runs; each waits to be let go."""

    def __init__(self) -> None:
        self.runs = 0
        self.gates: list[asyncio.Event] = []

    async def __call__(self) -> int:
        self.runs += 1
        run, gate = self.runs, asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        return run


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_never_joins_what_began_before() -> None:
    shared, work = SharedWork[int](), Work()
    first = asyncio.create_task(shared.ask("key", work))
    await settle()
    later = [asyncio.create_task(shared.ask("key", work)) for _ in range(3)]
    await settle()
    assert work.runs == 1
    work.gates[0].set()
    assert await first == 1
    await settle()
    latest = asyncio.create_task(shared.ask("key", work))
    work.gates[1].set()
    assert await asyncio.gather(*later) == [2] * 3
    await settle()
    work.gates[2].set()
    assert await latest == 3


async def test_keys_do_not_wait_for_each_other() -> None:
    shared, work = SharedWork[int](), Work()
    asking = [asyncio.create_task(shared.ask(key, work)) for key in "abc"]
    await settle()
    for gate in work.gates:
        gate.set()
    assert sorted(await asyncio.gather(*asking)) == [1, 2, 3]


async def test_one_who_leaves_does_not_take_the_work_along() -> None:
    shared, work = SharedWork[int](), Work()
    leaving = asyncio.create_task(shared.ask("key", work))
    staying = asyncio.create_task(shared.ask("key", work))
    await settle()
    leaving.cancel()
    await settle()
    work.gates[0].set()
    assert await staying == 1
    assert leaving.cancelled()


async def test_an_error_reaches_all_who_wait_and_the_next_try_is_a_new_one() -> None:
    shared: SharedWork[int] = SharedWork()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError

    results = await asyncio.gather(*(shared.ask("key", fail) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 3
    with pytest.raises(LookupError):
        await shared.ask("key", fail)


async def test_nothing_is_kept_of_a_question_that_was_answered_even_if_nobody_waited_for_it() -> None:
    shared, work = SharedWork[int](), Work()
    leaving = asyncio.create_task(shared.ask("key", work))
    await asyncio.sleep(0)
    leaving.cancel()
    await settle()
    work.gates[0].set()
    await settle()
    assert not vars(shared)["_gathers"]
