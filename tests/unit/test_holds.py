"""By which rule a session is held."""

from datetime import UTC, datetime, timedelta

import pytest

from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.holds import Hold, HoldReason, HoldRule, judge

UP, DOWN = Direction.DESCENDING, Direction.ASCENDING
NOW = datetime(2026, 1, 1, tzinfo=UTC)
BY_SCORE, BY_GAIN = Hold(score_over=100), Hold(gain_over=10)


@pytest.mark.parametrize(
    ("direction", "value", "is_held"),
    [(UP, 100, False), (UP, 101, True), (UP, -5, False), (DOWN, 100, False), (DOWN, 99, True), (DOWN, 500, False)],
)
def test_beyond_a_score_is_where_the_better_players_are(direction: Direction, value: int, is_held: bool) -> None:
    reason = judge(BY_SCORE, direction, value, None, NOW, [])
    assert reason == (HoldReason(HoldRule.SCORE_OVER, 100, value) if is_held else None)


@pytest.mark.parametrize(
    ("direction", "value", "best", "gain"),
    [
        (UP, 60, 50, None),
        (UP, 61, 50, 11),
        (UP, 11, 0, 11),
        (UP, 0, 500, None),
        (UP, 999, None, None),
        (DOWN, 40, 50, None),
        (DOWN, 39, 50, 11),
        (DOWN, 500, 50, None),
        (DOWN, -12, 0, 12),
    ],
)
def test_a_gain_is_over_the_players_own_best_and_a_first_session_gains_nothing(
    direction: Direction, value: int, best: int | None, gain: int | None
) -> None:
    reason = judge(BY_GAIN, direction, value, best, NOW, [])
    assert reason == (None if gain is None else HoldReason(HoldRule.GAIN_OVER, 10, gain))


@pytest.mark.parametrize(
    ("seconds_ago", "is_held"),
    [([], False), ([1], False), ([1, 2], True), ([1, 60], False), ([1, 59.9], True), ([1, 61, 2], False), ([-1, -59], True)],
)
def test_sessions_of_a_minute_are_those_that_were_played_then_and_came_last(seconds_ago: list[float], is_held: bool) -> None:
    before = [NOW - timedelta(seconds=seconds) for seconds in seconds_ago]
    reason = judge(Hold(sessions_per_minute_over=2), UP, 5, None, NOW, before)
    assert reason == (HoldReason(HoldRule.SESSIONS_PER_MINUTE_OVER, 2, 3) if is_held else None)


def test_a_session_is_held_by_the_first_rule_that_it_meets() -> None:
    hold = Hold(100, 10, 1)
    assert [judge(hold, UP, value, 50, NOW, [NOW]) for value in (101, 61, 5)] == [
        (HoldRule.SCORE_OVER, 100, 101),
        (HoldRule.GAIN_OVER, 10, 11),
        (HoldRule.SESSIONS_PER_MINUTE_OVER, 1, 2),
    ]
