"""Who is rewarded: the first reward that fits, shared by whoever shares its last rank, percents rounded up."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.ranking import ranks
from services.leaderboard.rules.rewards import Cutoff, Move, Reward, find_reward, find_reward_of, list_edges

GOLD, SILVER = Reward("gold", ranks=(1, 3)), Reward("silver", percent=10)
EVERYONE = Reward("present")

spans = st.tuples(st.integers(1, 30), st.integers(0, 10)).map(lambda span: (span[0], span[0] + span[1]))
rewards = st.one_of(
    spans.map(lambda span: Reward("r", ranks=span)),
    st.integers(1, 100).map(lambda percent: Reward("p", percent=percent)),
    st.just(EVERYONE),
)
scores = st.lists(st.integers(-3, 3), max_size=40)


@pytest.mark.parametrize(
    ("players", "last"), [(0, 0), (1, 1), (9, 1), (10, 1), (11, 2), (19, 2), (20, 2), (10**15 + 1, 10**14 + 1)]
)
def test_a_percent_is_rounded_up(players: int, last: int) -> None:
    assert SILVER.span(players) == (1, last)


def test_the_first_that_fits_is_the_one() -> None:
    told = [find_reward((GOLD, SILVER, EVERYONE), 50, rank) for rank in (1, 3, 4, 5, 6, 50)]
    assert told == ["gold", "gold", "silver", "silver", "present", "present"]
    assert find_reward((GOLD, SILVER), 50, 6) is None
    assert find_reward((), 50, 1) is None


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([9, 8, 7, 7, 7, 6], ["gold"] * 5 + [None]),
        ([9, 9, 9, 9, 8], ["gold"] * 4 + [None]),
        ([9, 8, 8, 7], ["gold"] * 3 + [None]),
    ],
)
def test_who_shares_the_last_rank_shares_the_reward(scored: list[int], expected: list[str | None]) -> None:
    assert [find_reward((GOLD,), len(scored), rank) for rank in ranks(scored, 0, 0)] == expected


@given(st.lists(rewards, max_size=4), scores)
def test_a_better_rank_is_never_left_out_of_what_reaches_a_worse_one(given_: list[Reward], scored: list[int]) -> None:
    """But for rewards that begin below it. And whoever has a rank has what others of that rank have."""
    ordered = sorted(scored, reverse=True)
    told = {rank: find_reward(given_, len(ordered), rank) for rank in ranks(ordered, 0, 0)}
    for rank, reward in told.items():
        expected = None
        for each in given_:
            if each.ranks is not None:
                fits = each.ranks[0] <= rank <= each.ranks[1]
            else:
                fits = each.percent is None or rank <= ceil(Fraction(len(ordered) * each.percent, 100))
            if fits:
                expected = each.name
                break
        assert reward == expected


@given(st.lists(rewards, max_size=4), scores, st.sampled_from(list(Direction)))
def test_how_far_rewards_reached_tells_the_same_as_the_ranks(
    given_: list[Reward], scored: list[int], direction: Direction
) -> None:
    ordered = sorted(scored, key=direction.sort)
    placed = list(zip(ranks(ordered, 0, 0), ordered, strict=True))
    cutoffs = []
    for reward in given_:
        first, last = reward.span(len(ordered))
        having = [each for each in placed if first <= each[0] <= last]
        cutoffs.append(Cutoff(reward, *having[-1]) if having else Cutoff(reward, None, None))
    for rank, score in placed:
        assert find_reward_of(cutoffs, direction, rank, score) == find_reward(given_, len(ordered), rank)


@given(st.lists(rewards, max_size=4), scores, st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3))
def test_when_one_player_moves_others_get_another_reward_at_the_edges_of_one_alone(
    given_: list[Reward], others: list[int], before: int | None, after: int | None
) -> None:
    now, then = sorted([*others, *([] if after is None else [after])]), [*others, *([] if before is None else [before])]
    move = Move(before, after, len(now))
    assert move.players_before == len(then)
    edges = list_edges(given_, move)
    for sort in others:
        rank, was = (1 + sum(each < sort for each in sorts) for sorts in (now, then))
        assert move.rank_before(rank, sort) == was
        if find_reward(given_, len(then), was) != find_reward(given_, len(now), rank):
            assert any(first <= rank <= last for first, last in edges)
