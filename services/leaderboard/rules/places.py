"""Where players are ranked, and where a session counts."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from services.leaderboard.rules.direction import Direction

MAIN_BOARD_ID = 1
ALL_TIME = 0
"""The period that never ends."""
MOST_PLACES = 24
"""Places that one session counts in, at most."""

_PLACE = struct.Struct(">II")


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
"""The board of the endpoints that name none, in all time."""
MAIN_RANKED = Ranked(MAIN, Direction.DESCENDING, None)


def pack(places: Iterable[Place]) -> bytes:
    """Places as the log keeps them with a session: eight bytes each."""
    return b"".join([_PLACE.pack(*place) for place in places])


def unpack(packed: bytes) -> list[Place]:
    """What `pack` was given."""
    return [Place(*each) for each in _PLACE.iter_unpack(packed)]


def unpack_kept(packed: bytes | None) -> list[Place]:
    """The places of a session as the log keeps them. One from before there were boards has none: it counts on the main one."""
    return [MAIN] if packed is None else unpack(packed)
