"""A percentile is exact, and rounded once."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.leaderboard.rules.percentiles import percentile


@given(st.integers(1, 10**9), st.data())
def test_it_is_the_quotient_rounded_half_up_to_four_decimals(players: int, data: st.DataObject) -> None:
    behind_or_equal = data.draw(st.integers(0, players))
    told = percentile(behind_or_equal, players)
    exact = Fraction(100 * behind_or_equal, players)
    shown = Fraction(repr(told))
    assert (shown * 10_000).denominator == 1
    assert -Fraction(1, 20_000) < exact - shown < Fraction(1, 20_000) or shown - exact == Fraction(1, 20_000)


@pytest.mark.parametrize(
    ("behind_or_equal", "players", "told"),
    [(1, 1, 100.0), (1, 3, 33.3333), (2, 3, 66.6667), (1, 1_000_000, 0.0001), (1, 2_000_000, 0.0001), (1, 2_000_001, 0.0)],
)
def test_what_it_is(behind_or_equal: int, players: int, told: float) -> None:
    assert percentile(behind_or_equal, players) == told
