"""What a standing says, and those of several players in the order of their board."""

from dataclasses import dataclass
from typing import NamedTuple


class StandingRow(NamedTuple):
    """A standing as a commit left it, which is all that the ranking index holds of a player. Removed, the score is None."""

    user_id: int
    username: str
    score: int | None
    reached_session_id: int
    version: int

    @classmethod
    def parse(cls, user_id: int, text: str) -> "StandingRow":
        """As `STANDING_TEXT` has it."""
        score, reached, version, username = text.split(" ", 3)
        return cls(user_id, username, None if score == "-" else int(score), int(reached), int(version))


class PlayerScore(NamedTuple):
    """A ranked player. A tuple, since making dataclasses takes longer, and pages are made of many."""

    user_id: int
    username: str
    score: int


class Position(NamedTuple):
    """A player's score, and how many are strictly ahead of it."""

    player: PlayerScore
    ahead: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Players in board order, how many stand before the first of them, and how many of those are strictly ahead of it."""

    players: list[PlayerScore]
    offset: int
    ahead: int
