"""Where players are ranked."""

from typing import NamedTuple

from services.leaderboard.rules.direction import Direction

MAIN_BOARD_ID = 1
ALL_TIME = 0
"""The period that never ends."""


class Place(NamedTuple):
    """One board in one of its periods. Everything that ranks is per place."""

    board_id: int
    period_id: int


class Ranked(NamedTuple):
    """A place, and what else its index must know of it: which way its board goes, and when nothing is counted there any more.

    ``closes_at_ms`` is in milliseconds since 1970 UTC; None: never.
    """

    at: Place
    direction: Direction
    closes_at_ms: int | None


MAIN = Place(MAIN_BOARD_ID, ALL_TIME)
"""The board that every session counts for, in all time."""
MAIN_RANKED = Ranked(MAIN, Direction.DESCENDING, None)
