"""What a standing says, and those of several players in the order of their board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.leaderboard.rules.places import Place


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


class Aheads(NamedTuple):
    """Of some players, in their order, how many others are ahead of each, and how many are ranked. None: it is not known."""

    aheads: Sequence[int | None]
    total_players: int | None


class Ranks(NamedTuple):
    """The ranks of some players, and how many are ranked."""

    by_player: Mapping[int, int]
    total_players: int | None


class PlaceRank(NamedTuple):
    """How a player stands in a place now. Removed since, they have neither score nor rank; nor a rank if it cannot be told.

    ``improved``: whether it is the session that is asked about which reached the score.
    """

    at: Place
    score: int | None
    rank: int | None
    total_players: int | None
    improved: bool


class PlayerScore(NamedTuple):
    """A ranked player. A tuple, since making dataclasses takes longer, and pages are made of many."""

    user_id: int
    username: str
    score: int


class Position(NamedTuple):
    """A player's score, and how many are strictly ahead of it."""

    player: PlayerScore
    ahead: int


class NextRank(NamedTuple):
    """What a player lacks of a better rank: the fewest points, and the rank that they would share or have then."""

    points: int
    rank: int


class Placing(NamedTuple):
    """A player's position among so many who are ranked, and what they lack of a better one: nothing who has the first."""

    position: Position
    total_players: int
    next_rank: NextRank | None


class End(NamedTuple):
    """The row that a page ends with: where the next one goes on, whatever happens in between."""

    sort: int
    reached_session_id: int


class Span(NamedTuple):
    """A page: so many players, from an offset on, or after the row that another page ended with."""

    limit: int
    offset: int
    after: End | None = None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Players in board order, how many stand before the first of them, and how many of those are strictly ahead of it.

    Of a page also the sessions that reached their scores.
    """

    players: list[PlayerScore]
    offset: int
    ahead: int
    reached: Sequence[int] = ()
