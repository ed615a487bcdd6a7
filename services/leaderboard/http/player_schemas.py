"""What the leaderboard service answers of players: those who are found by name, one as a whole, and a best session."""

from datetime import datetime

from pydantic import BaseModel, Field, JsonValue

from services.leaderboard.http import examples
from services.leaderboard.http.examples import shown
from services.leaderboard.http.schemas import PlayerStanding

_RANK = "1 + the number of players strictly ahead: equal scores share a rank"


class FoundPlayerShown(BaseModel):
    user_id: int
    username: str
    score: int | None = Field(description="on the main board, in its first window; null for a player who is not ranked there")
    rank: int | None = Field(description=f"{_RANK}. Null where the score is")


class FoundPlayers(BaseModel):
    """Players whose names begin alike, the best first; those who are not ranked last, by name."""

    model_config = shown({"players": [{**examples.ADA, "score": 3600, "rank": 1}]})

    players: list[FoundPlayerShown]


class RatedStanding(PlayerStanding):
    percentile: float = Field(description="how many per cent of the ranked players have this score or a worse one")


class PlayerProfile(BaseModel):
    """A player, and where they stand in every window that goes on, by board."""

    model_config = shown(
        {
            **examples.ADA,
            "since": "2026-02-03T12:00:00Z",
            "sessions": 3,
            "standings": [{**examples.STANDING, "percentile": 100.0}],
        }
    )

    user_id: int
    username: str
    since: datetime | None = Field(description="when the player's first session that counts was played; null if none does")
    sessions: int = Field(description="how many sessions count")
    standings: list[RatedStanding]


def _is_none(value: object) -> bool:
    return value is None


class BestSessionShown(BaseModel):
    session_id: int
    score: int
    value: int = Field(description="the session's value of the board's metric, which is the score on most boards")
    submitted_at: datetime
    metrics: dict[str, int] | None = Field(
        None,
        exclude_if=_is_none,
        description="as submitted, if the board has `show_extra`; else left out, like `tags` and `extra`",
    )
    tags: dict[str, str] | None = Field(None, exclude_if=_is_none)
    extra: JsonValue = Field(None, exclude_if=_is_none)


class PlayerBest(BaseModel):
    """How a player stands on a board, and the session that made it so; where the board adds up, the best one of them."""

    model_config = shown(examples.BEST)

    board: str
    window: str
    period_id: int = Field(description="0 in the window `all`")
    user_id: int
    username: str
    score: int = Field(description="on the board")
    rank: int = Field(description=_RANK)
    session: BestSessionShown
