"""What the leaderboard service is sent and what it answers, one schema a direction."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from services.leaderboard.rules.ranking import MAX_SESSION_SCORE


class ScoreSubmission(BaseModel):
    """The score of one game session."""

    model_config = ConfigDict(strict=True, extra="forbid")

    score: int = Field(ge=0, le=MAX_SESSION_SCORE, description="what the session scored", examples=[1200])


class SubmittedSession(BaseModel):
    """A session that is stored, and how the player stands now."""

    session_id: int
    user_id: int
    username: str
    total_score: int = Field(description="the player's total, this session included; 0 if the player was removed since")
    rank: int | None = Field(
        description="1 + the number of players strictly ahead: equal totals share a rank. Null if it cannot be told just now, "
        "or if the player was removed since"
    )


class RankedPlayer(BaseModel):
    rank: int = Field(description="1 + the number of players strictly ahead: equal totals share a rank")
    user_id: int
    username: str
    total_score: int


class TopPage(BaseModel):
    """A page of the board, in its order: total descending, then who reached it first."""

    top: list[RankedPlayer]
    limit: int
    offset: int
    total_players: int = Field(description="how many players are ranked")


class PlayersAround(BaseModel):
    """A player among those who stand next to them, in the board's order: fewer on one side at an end of the board."""

    players: list[RankedPlayer]


class OwnSession(BaseModel):
    session_id: int
    score: int
    submitted_at: datetime


class OwnSessions(BaseModel):
    """A page of the caller's game sessions, newest first."""

    sessions: list[OwnSession]
    next_cursor: str | None = Field(description="what the next page is asked for with; null when there is none")


class PlayerRank(BaseModel):
    user_id: int
    username: str
    total_score: int
    rank: int = Field(description="1 + the number of players strictly ahead: equal totals share a rank")


class OwnRank(BaseModel):
    """The caller's rank. Before their first session `total_score` is 0 and `rank` is null."""

    user_id: int
    username: str
    total_score: int
    rank: int | None


class KeptPlayer(BaseModel):
    user_id: int
    username: str = Field(
        description="the name on the board: the one that the last submission's token carried, or the last rename's"
    )


class KeptStanding(BaseModel):
    board: str
    period_id: int = Field(description="0 is all time")
    total_score: int | None = Field(description="null: the player was removed from this board")
    sessions: int = Field(description="how many sessions made the total")


class KeptSession(BaseModel):
    session_id: int
    score: int
    submitted_at: datetime
    idempotency_key: str | None = Field(description="what the client called the submission by, if it did")


class Export(BaseModel):
    """Everything that is kept of the caller. Sessions oldest first."""

    player: KeptPlayer | None = Field(description="null for one who is on no board")
    standings: list[KeptStanding]
    sessions: list[KeptSession]
