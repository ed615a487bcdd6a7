"""Gathering: shared round trips that are never older than the question, and in which nobody pays for another."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.gather import Gather, GatherClosed, GatherCut, GatherFull
from tests.system import eventually


class Server:
    """Answers each member with the number of the round trip that it was in. Each round trip waits to be let go."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gates: list[asyncio.Event] = []

    async def __call__(self, members: list[str]) -> list[int | BaseException]:
        gate, number = asyncio.Event(), len(self.groups)
        self.groups.append(members)
        self.gates.append(gate)
        await gate.wait()
        if "broken" in members:
            raise ConnectionError("the whole round trip failed")
        return [LookupError(member) if member.startswith("bad") else number for member in members]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def ask(gather: Gather[str, int], *members: str) -> "list[asyncio.Task[int]]":
    return [asyncio.create_task(gather.ask(member)) for member in members]


async def test_one_alone_starts_at_once_and_those_who_come_meanwhile_share_the_next() -> None:
    server = Server()
    gather = Gather(server, most=100)
    first = ask(gather, "a")
    await settle()
    assert server.groups == [["a"]]
    later = ask(gather, "b", "c", "d")
    await settle()
    assert server.groups == [["a"]]  # none joined what had begun
    server.gates[0].set()
    assert await asyncio.gather(*first) == [0]
    await settle()
    assert server.groups == [["a"], ["b", "c", "d"]]
    server.gates[1].set()
    assert await asyncio.gather(*later) == [1, 1, 1]


async def test_all_who_ask_in_one_turn_of_the_loop_share_the_first_round_trip() -> None:
    server = Server()
    asking = ask(Gather(server, most=100), "a", "b", "c")
    await settle()
    assert server.groups == [["a", "b", "c"]]
    server.gates[0].set()
    assert await asyncio.gather(*asking) == [0, 0, 0]


async def test_a_round_trip_takes_no_more_than_a_lanes_share_of_all_who_wait_or_are_under_way() -> None:
    server = Server()
    gather = Gather(server, most=100, lanes=2)
    asking = ask(gather, *"abcdef")
    await settle()
    assert server.groups == [list("abc"), list("def")]
    asking += ask(gather, *"ghijk")
    server.gates[0].set()
    await settle()
    assert server.groups[2:] == [list("ghij")]  # half of the five who wait and the three under way
    server.gates[1].set()
    await settle()
    assert server.groups[3:] == [["k"]]
    server.gates[2].set()
    server.gates[3].set()
    assert await asyncio.gather(*asking) == [0] * 3 + [1] * 3 + [2] * 4 + [3]


async def test_a_round_trip_takes_no_more_than_it_may_and_the_first_come_go_first() -> None:
    server = Server()
    asking = ask(Gather(server, most=2), "a", "b", "c", "d", "e")
    for number in range(3):
        await settle()
        server.gates[number].set()
    assert await asyncio.gather(*asking) == [0, 0, 1, 1, 2]
    assert server.groups == [["a", "b"], ["c", "d"], ["e"]]


async def test_as_many_round_trips_as_there_are_lanes_are_under_way_at_once() -> None:
    server = Server()
    gather = Gather(server, most=2, lanes=2)
    asking = ask(gather, "a", "b", "c", "d", "e")
    await settle()
    assert server.groups == [["a", "b"], ["c", "d"]]
    server.gates[1].set()
    await settle()
    assert server.groups[2:] == [["e"]]
    server.gates[0].set()
    server.gates[2].set()
    assert await asyncio.gather(*asking) == [0, 0, 1, 1, 2]


async def test_a_round_trip_begins_beside_another_only_with_as_many_as_make_it_worth_while() -> None:
    server = Server()
    gather = Gather(server, most=100, lanes=2, worth=3)
    first = ask(gather, "a")
    await settle()
    few = ask(gather, "b", "c")
    await settle()
    assert server.groups == [["a"]]
    many = ask(gather, "d")
    await settle()
    assert server.groups == [["a"], ["b", "c", "d"]]
    last = ask(gather, "e")
    await settle()
    server.gates[0].set()
    await asyncio.gather(*first)
    await settle()
    assert server.groups == [["a"], ["b", "c", "d"]]  # one is under way still
    server.gates[1].set()
    await asyncio.gather(*few, *many)
    await settle()
    assert server.groups[2:] == [["e"]]
    server.gates[2].set()
    assert await asyncio.gather(*last) == [2]


async def test_so_many_that_each_lane_is_worth_while_are_shared_between_the_lanes() -> None:
    server = Server()
    asking = ask(Gather(server, most=100, lanes=2, worth=3), *"abcdefg")
    await settle()
    assert server.groups == [list("abcd"), list("efg")]
    for gate in server.gates:
        gate.set()
    assert await asyncio.gather(*asking) == [0, 0, 0, 0, 1, 1, 1]


async def test_few_begin_only_when_turns_of_the_loop_bring_nobody_and_many_at_once() -> None:
    server = Server()
    gather = Gather(server, most=100, worth=4)
    asking = ask(gather, "a")
    for member in ("b", "c"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking += ask(gather, member)
    assert server.groups == []
    await settle()
    assert server.groups == [["a", "b", "c"]]
    asking += ask(gather, *"defg")
    server.gates[0].set()
    await asyncio.gather(*asking[:3])
    for _ in range(3):  # to be answered, to begin, to be sent
        await asyncio.sleep(0)
    assert server.groups[1:] == [["d", "e", "f", "g"]]
    server.gates[1].set()
    assert await asyncio.gather(*asking) == [0, 0, 0, 1, 1, 1, 1]


async def test_nobody_waits_long_for_more_to_come() -> None:
    server = Server()
    gather = Gather(server, most=100, lanes=2, worth=3)
    held = ask(gather, "held")
    await settle()
    few = ask(gather, "b", "c")
    await eventually(lambda: _is(len(server.groups) == 2))
    assert server.groups[1] == ["b", "c"]
    server.gates[1].set()
    assert await asyncio.gather(*few) == [1, 1]
    server.gates[0].set()
    await asyncio.gather(*held)


async def _is(condition: bool) -> bool:
    return condition


async def test_a_members_failure_is_its_own() -> None:
    server = Server()
    asking = ask(Gather(server, most=9), "a", "bad", "c")
    await settle()
    server.gates[0].set()
    a, bad, c = await asyncio.gather(*asking, return_exceptions=True)
    assert (a, c) == (0, 0)
    assert isinstance(bad, LookupError)


async def test_a_failure_of_the_whole_reaches_each_and_the_next_round_trip_is_a_new_one() -> None:
    server = Server()
    gather = Gather(server, most=9)
    asking = ask(gather, "a", "broken", "c")
    await settle()
    later = ask(gather, "d")
    server.gates[0].set()
    failed = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError] * 3
    await settle()
    server.gates[1].set()
    assert await asyncio.gather(*later) == [1]


async def test_an_answer_too_few_is_a_failure_of_the_whole_not_a_mix_up() -> None:
    async def forgetful(members: list[str]) -> list[int]:
        return [0] * (len(members) - 1)

    failed = await asyncio.gather(*ask(Gather(forgetful, most=9), "a", "b"), return_exceptions=True)
    assert [type(error) for error in failed] == [RuntimeError] * 2


@pytest.mark.parametrize("keep", [True, False])
async def test_a_caller_that_goes_disturbs_nobody_and_is_taken_along_only_where_that_was_promised(keep: bool) -> None:
    server = Server()
    gather = Gather(server, most=9, keep=keep)
    under_way = ask(gather, "a", "b")
    await settle()
    waiting = ask(gather, "c", "d")
    await settle()
    under_way[0].cancel()
    waiting[0].cancel()
    await settle()
    for number in range(2):
        server.gates[number].set()
        await settle()
    assert await under_way[1] == 0
    assert await waiting[1] == 1
    assert server.groups == [["a", "b"], ["c", "d"] if keep else ["d"]]


async def test_when_everyone_waiting_has_gone_there_is_no_round_trip() -> None:
    server = Server()
    gather = Gather(server, most=9)
    first, *others = ask(gather, "a")
    await settle()
    others = ask(gather, "b", "c")
    await settle()
    for other in others:
        other.cancel()
    server.gates[0].set()
    assert await first == 0
    await settle()
    assert server.groups == [["a"]]
    [late] = ask(gather, "d")
    await settle()
    server.gates[1].set()
    assert await late == 1


async def test_a_full_queue_refuses_and_keeps_what_it_accepted() -> None:
    server = Server()
    gather = Gather(server, most=9, queue=2)
    accepted = ask(gather, "a")
    await settle()
    accepted += ask(gather, "b", "c")
    await settle()
    with pytest.raises(GatherFull):
        await gather.ask("d")
    assert gather.waiting == 2
    server.gates[0].set()
    await settle()
    accepted += ask(gather, "e")
    await settle()
    server.gates[1].set()
    await settle()
    server.gates[2].set()
    assert await asyncio.gather(*accepted) == [0, 1, 1, 2]


async def test_draining_waits_for_all_that_was_accepted_and_refuses_what_comes() -> None:
    server = Server()
    gather = Gather(server, most=1)
    accepted = ask(gather, "a", "b")
    await settle()
    draining = asyncio.create_task(gather.drain())
    await settle()
    with pytest.raises(GatherClosed):
        await gather.ask("c")
    server.gates[0].set()
    await settle()
    assert not draining.done()
    server.gates[1].set()
    await draining
    assert await asyncio.gather(*accepted) == [0, 1]


async def test_draining_in_bounded_time_tells_those_under_way_from_those_for_whom_nothing_was_done() -> None:
    server = Server()
    gather = Gather(server, most=2)
    asking = ask(gather, "a", "b", "c")
    await settle()
    asking[0].cancel()
    await gather.drain(0.01)
    gone, under_way, waiting = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in (gone, under_way, waiting)] == [asyncio.CancelledError, GatherCut, GatherClosed]
    assert server.groups == [["a", "b"]]


@settings(deadline=None, max_examples=100)
@given(data=st.data(), most=st.integers(1, 4), lanes=st.integers(1, 3), queue=st.one_of(st.none(), st.integers(1, 6)))
def test_whatever_happens_everyone_who_stays_gets_the_answer_of_one_round_trip_that_began_later(
    data: st.DataObject, most: int, lanes: int, queue: int | None
) -> None:
    async def play() -> None:
        began: list[list[int]] = []
        gates: list[asyncio.Event] = []

        async def run(members: list[int]) -> list[tuple[int, int]]:
            gate, number = asyncio.Event(), len(began)
            began.append(members)
            gates.append(gate)
            assert sum(not each.is_set() for each in gates) <= lanes
            await gate.wait()
            return [(member, number) for member in members]

        gather = Gather(run, most=most, lanes=lanes, queue=queue)
        asked: dict[int, tuple[asyncio.Task[tuple[int, int]], int]] = {}
        for step in data.draw(st.lists(st.sampled_from(["ask", "leave", "answer", "turn"]), max_size=40)):
            stuck = [gate for gate in gates if not gate.is_set()]
            if step == "ask":
                member = len(asked)
                asked[member] = asyncio.create_task(gather.ask(member)), len(began)
            elif step == "leave" and asked:
                asked[data.draw(st.sampled_from(sorted(asked)))][0].cancel()
            elif step == "answer" and stuck:
                data.draw(st.sampled_from(stuck)).set()
            else:
                await settle()
        await settle()  # so that all who asked have been taken in
        draining = asyncio.create_task(gather.drain())
        while not draining.done():
            for gate in gates:
                gate.set()
            await settle()
        times = Counter(member for members in began for member in members)
        assert all(len(members) <= most for members in began)
        for member, (task, earliest) in asked.items():
            assert times[member] <= 1
            if task.cancelled():
                continue
            if task.exception() is not None:
                assert isinstance(task.exception(), GatherFull)
                assert queue is not None
                assert not times[member]
                continue
            answered, number = task.result()
            assert answered == member
            assert number >= earliest
            assert member in began[number]

    asyncio.run(play())


async def test_one_who_was_answered_last_can_ask_again_in_that_very_turn() -> None:
    async def answer(members: list[str]) -> list[str]:
        await asyncio.sleep(0)
        return members

    gather = Gather(answer, most=100)
    async with asyncio.timeout(5):
        assert [await gather.ask(member) for member in "abc"] == list("abc")


async def test_many_are_taken_along_in_their_order_and_each_has_its_own_answer() -> None:
    server = Server()
    gather = Gather(server, most=3)
    asking = asyncio.create_task(gather.ask_all(["a", "bad b", "c", "d"]))
    await settle()
    assert server.groups == [["a", "bad b", "c"]]
    server.gates[0].set()
    await settle()
    assert server.groups[1:] == [["d"]]
    assert not asking.done()
    server.gates[1].set()
    first, refused, third, fourth = await asking
    assert (first, third, fourth) == (0, 0, 1)
    assert isinstance(refused, LookupError)


async def test_of_many_all_are_taken_along_or_none() -> None:
    server = Server()
    gather = Gather(server, most=10, queue=3)
    with pytest.raises(GatherFull):
        await gather.ask_all(["a", "b", "c", "d"])
    assert gather.waiting == 0
    asking = asyncio.create_task(gather.ask_all(["a", "b", "c"]))
    await settle()
    server.gates[0].set()
    assert await asking == [0, 0, 0]
    await gather.drain()
    with pytest.raises(GatherClosed):
        await gather.ask_all(["e"])


async def test_of_many_who_have_gone_those_are_taken_along_that_are_to_be_kept() -> None:
    server = Server()
    gather = Gather(server, most=2, keep=True)
    asking = asyncio.create_task(gather.ask_all(["a", "b", "bad c"]))
    await settle()
    asking.cancel()
    await settle()
    server.gates[0].set()
    await settle()
    assert server.groups == [["a", "b"], ["bad c"]]
    server.gates[1].set()
    await gather.drain()
