"""Bins and quantiles: whole numbers, held against their definitions."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.rules import distribution
from services.leaderboard.rules.ranking import MAX_TOTAL

SCORES = st.integers(-300, 300) | st.integers(-MAX_TOTAL, MAX_TOTAL)


@given(SCORES, SCORES, st.integers(1, 200))
def test_bins_are_of_equal_width_and_tile_all_scores(one: int, other: int, most: int) -> None:
    least, greatest = sorted((one, other))
    edges = distribution.edges(least, greatest, most)
    assert 1 <= len(edges) <= most
    assert (edges[0][0], edges[-1][1]) == (least, greatest)
    assert all(last + 1 == first for (_, last), (first, _) in pairwise(edges))
    *widths, shortest = [last - first + 1 for first, last in edges]
    assert len(set(widths)) <= 1
    assert 1 <= shortest <= (widths or [shortest])[0]
    if greatest - least < most:  # fewer whole numbers than bins
        assert edges == [(score, score) for score in range(least, greatest + 1)]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=300), st.sampled_from(distribution.QUANTILES))
def test_a_quantile_is_the_least_score_that_so_many_have_or_less(scores: list[int], percent: int) -> None:
    found = sorted(scores)[distribution.nearest_rank(percent, len(scores)) - 1]
    needed = Fraction(percent * len(scores), 100)
    assert sum(score <= found for score in scores) >= needed
    assert sum(score < found for score in scores) < needed
