"""Which way a board goes."""

from enum import StrEnum


class Direction(StrEnum):
    """Named as `boards.direction` has it."""

    DESCENDING = "descending"
    """More is better."""
    ASCENDING = "ascending"
    """Less is better."""

    def sort(self, score: int) -> int:
        """What players are ordered by, the least first: the score, negated where more is better."""
        return score if self is Direction.ASCENDING else -score

    def score(self, sort: int) -> int:
        """The score that is ordered by this."""
        return sort if self is Direction.ASCENDING else -sort
