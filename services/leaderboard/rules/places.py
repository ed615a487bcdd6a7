"""Where players are ranked."""

from typing import NamedTuple

MAIN_BOARD_ID = 1
ALL_TIME = 0
"""The period that never ends."""


class Place(NamedTuple):
    """One board in one of its periods. Everything that ranks is per place."""

    board_id: int
    period_id: int


MAIN = Place(MAIN_BOARD_ID, ALL_TIME)
"""The board that every session counts for, in all time."""
