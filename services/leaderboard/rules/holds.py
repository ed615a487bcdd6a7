"""Which sessions are held until somebody has looked at them, with no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from services.leaderboard.rules.direction import Direction

MINUTE = timedelta(minutes=1)


class HoldRule(StrEnum):
    """By what a session is held."""

    SCORE_OVER = "score_over"
    GAIN_OVER = "gain_over"
    SESSIONS_PER_MINUTE_OVER = "sessions_per_minute_over"


@dataclass(frozen=True, slots=True)
class Hold:
    """A board's rules. A session that meets any of them is held; a rule that is None holds none.

    Over is where the board's better players are: above where more is better, and below where less is.
    """

    score_over: int | None = None
    gain_over: int | None = None
    sessions_per_minute_over: int | None = None


class HoldReason(NamedTuple):
    """The rule that holds a session, its limit, and what the session came to."""

    rule: HoldRule
    limit: int
    value: int


def judge(
    hold: Hold, direction: Direction, value: int, best: int | None, time: datetime, before: Sequence[datetime]
) -> HoldReason | None:
    """Why a session with this value is held, None if it is not: by the first rule that it meets.

    ``best``: the player's best value on the board until then, None if there is none: a first session gains nothing. ``before``:
    when the player's sessions before this one, of ``time``, were played, the newest first.
    """
    limit = hold.score_over
    if limit is not None and direction.sort(value) < direction.sort(limit):
        return HoldReason(HoldRule.SCORE_OVER, limit, value)
    limit = hold.gain_over
    if limit is not None and best is not None and (gain := direction.sort(best) - direction.sort(value)) > limit:
        return HoldReason(HoldRule.GAIN_OVER, limit, gain)
    limit = hold.sessions_per_minute_over
    if limit is not None:
        # Either way: a game server may submit what was played in any order.
        sessions = 1 + sum([abs(time - each) < MINUTE for each in before[:limit]])
        if sessions > limit:
            return HoldReason(HoldRule.SESSIONS_PER_MINUTE_OVER, limit, sessions)
    return None
