"""How scores are distributed, in whole numbers: bins of equal width, and quantiles.

No floating point decides anything here, so that what Redis counts and what MySQL counts come to the same bytes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

QUANTILES: Final = 10, 25, 50, 75, 90, 99
"""Of these per cents of the players the score is told which they have or less."""


class Bin(NamedTuple):
    """The scores from one to another, both among them, and how many players have one of them."""

    least: int
    greatest: int
    players: int


class Distribution(NamedTuple):
    """How many players have which scores, and the quantiles in the order of `QUANTILES`: none where nobody is ranked."""

    total_players: int
    bins: Sequence[Bin]
    quantiles: Sequence[int]


def edges(least: int, greatest: int, most: int) -> list[tuple[int, int]]:
    """At most so many bins of equal width from the least score to the greatest; the last one ends with the greatest."""
    width = (greatest - least) // most + 1
    return [(first, min(first + width - 1, greatest)) for first in range(least, greatest + 1, width)]


def nearest_rank(percent: int, players: int) -> int:
    """Which score a quantile is, counted from 1, the least first: the least that ``percent`` of the players have or less.

    The nearest-rank method: definition 1 of Hyndman and Fan, Sample Quantiles in Statistical Packages (1996). It is always the
    score of a player.
    """
    return -(-percent * players // 100)
