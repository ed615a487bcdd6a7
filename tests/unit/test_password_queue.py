"""The queue of passwords: the order in which it serves, and whom it refuses. Nothing here looks at the time."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.audit.clients import Client
from services.auth.errors import PasswordQueueFull
from services.auth.passwords.queue import FairQueue, Place


class Counter:
    """A queue, and in which order its requests are served."""

    def __init__(self, *, at_once: int = 1, most: int = 64, most_by_network: int = 32, seconds: float = 60) -> None:
        self.queue = FairQueue(at_once=at_once, most=most, most_by_network=most_by_network, seconds=seconds)
        self.served: list[str] = []
        self.refused: list[str] = []
        self._inside: list[Place] = []

    async def come(self, name: str, network: str, account: bytes | None = None) -> "asyncio.Task[None]":
        """A request joins the queue."""
        task = asyncio.create_task(self._enter(name, network, account))
        await settle()
        return task

    async def come_all(self, names: Sequence[str], network: str, account: bytes | None = None) -> list["asyncio.Task[None]"]:
        return [await self.come(name, network, account) for name in names]

    async def serve(self, times: int = 1) -> None:
        """The request that was let in first is done; then the next one, and so on."""
        for _ in range(times):
            self.queue.leave(self._inside.pop(0))
            await settle()

    async def _enter(self, name: str, network: str, account: bytes | None) -> None:
        try:
            place = await self.queue.enter(network, account)
        except PasswordQueueFull:
            self.refused.append(name)
            return
        self.served.append(name)
        self._inside.append(place)


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_addresses_are_served_in_turn_however_many_requests_one_of_them_has() -> None:
    counter = Counter()
    await counter.come_all(["a1", "a2", "a3", "a4", "a5"], "a")
    await counter.come_all(["b1", "b2"], "b")
    await counter.come("c1", "c")
    await counter.serve(7)
    assert counter.served == ["a1", "a2", "b1", "c1", "a3", "b2", "a4", "a5"]


async def test_who_comes_while_another_floods_is_the_next_but_one_each_time() -> None:
    counter = Counter()
    await counter.come_all([f"a{number}" for number in range(30)], "a")
    for number in range(5):
        await counter.come(f"b{number}", "b")
        for more in range(2):
            await counter.serve()
            await counter.come(f"more{number}.{more}", "a")
        assert f"b{number}" in counter.served[-2:]


async def test_of_too_many_the_newest_of_the_address_that_has_most_is_refused_and_no_newcomer() -> None:
    counter = Counter(most=6)
    await counter.come("inside", "z")
    await counter.come_all(["a1", "a2", "a3", "a4"], "a")
    await counter.come_all(["b1", "b2"], "b")
    await counter.come("c1", "c")
    assert counter.refused == ["a4"]
    await counter.come("d1", "d")
    assert counter.refused == ["a4", "a3"]
    # a and b have two waiting now. Whoever would have as many as anybody comes last, and is refused.
    await counter.come("c2", "c")
    assert counter.refused == ["a4", "a3", "c2"]
    await counter.serve(6)
    assert counter.served == ["inside", "a1", "b1", "c1", "d1", "a2", "b2"]


async def test_an_address_has_no_more_waiting_than_its_bound() -> None:
    counter = Counter(most=10, most_by_network=3)
    await counter.come_all(["a0", "a1", "a2", "a3", "a4", "a5"], "a")
    assert counter.refused == ["a4", "a5"]
    await counter.come_all(["b1", "b2", "b3"], "b")
    assert counter.refused == ["a4", "a5"]


async def test_requests_about_one_account_are_served_one_after_the_other_and_hold_nobody_else() -> None:
    counter = Counter(at_once=3)
    await counter.come_all(["ada1", "ada2", "ada3"], "a", b"ada")
    await counter.come("eve", "a", b"eve")
    await counter.come("new", "a")
    assert counter.served == ["ada1", "eve", "new"]
    await counter.serve()
    assert counter.served[3:] == ["ada2"]


async def test_who_waits_for_an_account_is_not_overtaken_by_those_who_flood_it() -> None:
    counter = Counter(at_once=2)
    await counter.come_all(["a1", "a2", "a3"], "a", b"ada")
    await counter.come("owner", "o", b"ada")
    await counter.come_all(["a4", "a5"], "a", b"ada")
    await counter.serve()
    await counter.serve()
    assert counter.served == ["a1", "a2", "owner"]


async def test_who_has_waited_too_long_is_refused_and_holds_no_place() -> None:
    counter = Counter(most=1, seconds=0.01)
    await counter.come("inside", "a")
    waiting = await counter.come("late", "b")
    await waiting
    assert counter.refused == ["late"]
    await counter.come("next", "c")
    await counter.serve()
    assert counter.served == ["inside", "next"]


async def test_who_leaves_just_as_their_turn_comes_gives_it_to_the_next() -> None:
    counter = Counter()
    await counter.come("inside", "a")
    leaving = await counter.come("leaves", "b")
    let_in = await counter.come("let in", "c")
    leaving.cancel()  # before the turn comes, though its task has not run since
    counter.queue.leave(counter._inside.pop())
    await settle()
    assert counter.served == ["inside", "let in"]
    also = await counter.come("also leaves", "d")
    await counter.come("last", "e")
    counter.queue.leave(counter._inside.pop())
    also.cancel()  # after the turn came, and its task has not run since
    await settle()
    assert counter.served == ["inside", "let in", "last"]
    assert let_in.done()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(["come", "serve", "cancel"])), max_size=60))
def test_whatever_comes_goes_and_is_refused_everything_ends_and_nothing_is_left(steps: list[tuple[int, int, str]]) -> None:
    async def run() -> None:
        counter = Counter(at_once=2, most=4, most_by_network=3)
        tasks: list[asyncio.Task[None]] = []
        for network, account, step in steps:
            if step == "come":
                tasks.append(await counter.come(f"{len(tasks)}", f"{network}", bytes([account]) if account else None))
            elif step == "cancel" and tasks:
                tasks[network % len(tasks)].cancel()
                await settle()
            elif counter._inside:
                await counter.serve()
        while counter._inside:
            await counter.serve()
        assert all(task.done() for task in tasks)
        await counter.come("one", "x", b"1")
        await counter.come("two", "y", b"2")
        assert counter.served[-2:] == ["one", "two"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_ipv6_network_of_64_bits_is_one_address(one: str, other: str, alike: bool) -> None:
    assert (Client.of(one, "").network == Client.of(other, "").network) is alike
