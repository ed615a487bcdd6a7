"""How many sessions of a player are stored: a burst, then so many a second, and no more memory than that needs."""

from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.log.limits import Allowance

WAITS = st.lists(st.floats(0, 3), min_size=1, max_size=300)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_one_as_often_as_the_rate_says() -> None:
    clock = Clock()
    allowance = Allowance(per_second=20, burst=100, clock=clock)
    assert [allowance.take(1) for _ in range(100)] == [0.0] * 100
    assert 0 < allowance.take(1) <= 0.05 + 1e-9
    assert allowance.take(2) == 0
    clock.now += 0.051
    assert allowance.take(1) == 0
    assert allowance.take(1) > 0


@given(WAITS)
def test_in_no_stretch_of_time_are_there_more_than_burst_and_rate(waits: list[float]) -> None:
    clock = Clock()
    allowance = Allowance(per_second=2, burst=5, clock=clock)
    taken: list[float] = []
    for wait in waits:
        clock.now += wait
        if allowance.take(7) == 0:
            taken.append(clock.now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= 5 + 2 * (taken[last] - taken[first]) + 1e-6


@given(WAITS)
def test_who_waits_as_long_as_told_is_let_through(waits: list[float]) -> None:
    clock = Clock()
    allowance = Allowance(per_second=2, burst=3, clock=clock)
    for wait in waits:
        clock.now += wait
        if more := allowance.take(7):
            clock.now += more + 1e-9
            assert allowance.take(7) == 0


def test_what_was_given_back_can_be_taken_again() -> None:
    allowance = Allowance(per_second=1, burst=1, clock=Clock())
    assert allowance.take(1) == 0
    assert allowance.take(1) > 0
    allowance.give_back(1)
    assert allowance.take(1) == 0


def test_players_who_were_quiet_are_forgotten() -> None:
    clock = Clock()
    allowance = Allowance(per_second=20, burst=100, clock=clock)
    for user_id in range(10_000):
        clock.now += 0.01
        allowance.take(user_id)
    assert len(allowance) < 100
