"""What the leaderboard service is sent and what it answers, one schema a direction."""

from datetime import datetime

from pydantic import BaseModel, Field, JsonValue

from services.common.http.requests import Time
from services.leaderboard.http import examples
from services.leaderboard.http.examples import shown
from services.leaderboard.log.document import SessionDocument, WhoseId


class ScoreSubmission(SessionDocument):
    """One game session: its score, and whatever else it says of itself.

    It counts for the boards that it names, or, if it names none, for each board whose rule takes it.
    """

    user_id: WhoseId | None = Field(None, description="the player: sent by game servers only", examples=[7])
    played_at: Time | None = Field(
        None,
        description="when it was played, now by default: sent by game servers only. It counts in the periods of that time "
        "that are still open",
    )


class SubmittedStanding(BaseModel):
    """How the player stands now, in a place where the session counts."""

    board: str
    window: str
    period_id: int = Field(description="0 in the window `all`")
    score: int | None = Field(description="null if the player was removed since")
    rank: int | None = Field(
        description="1 + the number of players strictly ahead: equal scores share a rank. Null if it is not known right now"
    )
    total_players: int | None = Field(description="how many players are ranked; null if it is not known right now")
    counted: bool = Field(description="whether the session counts here")
    improved: bool = Field(description="whether this session reached the score")


class SubmittedSession(BaseModel):
    """A session that is stored, and how the player stands now."""

    model_config = shown(examples.SUBMITTED)

    session_id: int
    user_id: int
    username: str
    total_score: int | None = Field(
        description="the player's total on the main board in all time; 0 if the player was removed since, null if the session "
        "does not count there"
    )
    rank: int | None = Field(
        description="rank on the main board in all time: 1 + the number of players strictly ahead. Null if it is not known "
        "right now, if the player was removed since, or if the session does not count there"
    )
    held: bool = Field(
        description="whether staff have to approve the session first. Until then it counts nowhere, and `standings` tell "
        "where it would"
    )
    standings: list[SubmittedStanding]


class RankedPlayer(BaseModel):
    rank: int = Field(description="1 + the number of players strictly ahead: equal totals share a rank")
    user_id: int
    username: str
    total_score: int


class TopPage(BaseModel):
    """A page of the board, in its order: total descending, then who reached it first."""

    model_config = shown({"top": examples.RANKED, "limit": 10, "offset": 0, "total_players": 2})

    top: list[RankedPlayer]
    limit: int
    offset: int
    total_players: int = Field(description="how many players are ranked")


class PlayersAround(BaseModel):
    """A player among those who stand next to them, in the board's order: fewer on one side at an end of the board."""

    model_config = shown({"players": examples.RANKED})

    players: list[RankedPlayer]


class OwnSession(BaseModel):
    session_id: int
    score: int
    submitted_at: datetime
    voided: bool = Field(description="whether staff have voided it")
    held: bool = Field(description="whether staff have to approve it before it counts")


class OwnSessions(BaseModel):
    """A page of the caller's game sessions, newest first."""

    model_config = shown({"sessions": [examples.OWN_SESSION], "next_cursor": examples.CURSOR})

    sessions: list[OwnSession]
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


class PlayerRank(BaseModel):
    model_config = shown({**examples.ADA, "total_score": 3600, "rank": 1})

    user_id: int
    username: str
    total_score: int
    rank: int = Field(description="1 + the number of players strictly ahead: equal totals share a rank")


class OwnRank(BaseModel):
    """The caller's rank. Before their first session `total_score` is 0 and `rank` is null."""

    model_config = shown({**examples.ADA, "total_score": 3600, "rank": 1})

    user_id: int
    username: str
    total_score: int
    rank: int | None


class BoardRow(BaseModel):
    rank: int = Field(description="1 + the number of players strictly ahead: equal scores share a rank")
    user_id: int
    username: str
    score: int
    extra: JsonValue = Field(
        None,
        description="the `extra` of the session behind the score, if the board shows it; else left out",
    )


class OfBoard(BaseModel):
    """What every answer of a board has."""

    board: str
    window: str
    period_id: int | None = Field(description="0 in the window `all`; null while nobody has played in the period")
    total_players: int = Field(description="how many players are ranked")


class BoardPage(OfBoard):
    """A page of a board, in its order: the best first; of equal scores, who reached it first."""

    model_config = shown(
        {**examples.OF_BOARD, "top": examples.ROWS, "offset": 0, "generation": "5.42", "next_cursor": examples.CURSOR}
    )

    top: list[BoardRow]
    offset: int = Field(description="how many players come before the page")
    generation: str | None = Field(description="changes with every change of the board; null if MySQL answered")
    next_cursor: str | None = Field(description="send it as `cursor` to get the next page; null on the last page")


_PERCENTILE = "how many per cent of the players have this score or a worse one, to four decimals; the first has 100"
_TO_NEXT = "what a better rank takes; null for the first rank"


class NextRank(BaseModel):
    """What the player lacks of a better rank."""

    points: int = Field(description="by how many points the score has to be better, at least")
    rank: int = Field(description="the rank that the player would share or have then")


class BoardRank(OfBoard, BoardRow):
    model_config = shown(examples.ON_BOARD)

    percentile: float = Field(description=_PERCENTILE)
    to_next: NextRank | None = Field(description=_TO_NEXT)


class OwnBoardRank(OfBoard):
    """The caller's rank. Before their first session there, score, rank, `percentile` and `to_next` are null."""

    model_config = shown(examples.ON_BOARD)

    rank: int | None
    user_id: int
    username: str
    score: int | None
    extra: JsonValue = Field(None, description="as on the board's pages")
    percentile: float | None = Field(description=_PERCENTILE)
    to_next: NextRank | None = Field(description=_TO_NEXT)


class BoardAround(OfBoard):
    """A player among those who stand next to them, in the board's order: fewer on one side at an end of the board."""

    model_config = shown({**examples.OF_BOARD, "players": examples.ROWS})

    players: list[BoardRow]


class PlayerStanding(BaseModel):
    board: str
    window: str
    period_id: int
    score: int
    rank: int
    total_players: int


class PlayerStandings(BaseModel):
    """Where a player stands in every window that goes on, by board."""

    model_config = shown({"standings": [examples.STANDING]})

    standings: list[PlayerStanding]


class KeptPlayer(BaseModel):
    user_id: int
    username: str = Field(description="the player's username on the boards")


class KeptStanding(BaseModel):
    board: str
    period_id: int = Field(description="0 is all time")
    total_score: int | None = Field(description="null if the player was removed from the board")
    sessions: int = Field(description="how many sessions made the total")


class KeptResult(BaseModel):
    board: str
    period_id: int
    rank: int
    score: int
    reward: str | None


class KeptReport(BaseModel):
    """A session of another player's that the caller has reported."""

    session_id: int
    reason: str | None
    reported_at: datetime


class KeptSession(BaseModel):
    session_id: int
    score: int
    submitted_at: datetime
    idempotency_key: str | None = Field(description="the submission's `Idempotency-Key`, if it had one")
    metrics: dict[str, int] | None = Field(None, description="as submitted; left out if there are none, like the other fields")
    tags: dict[str, str] | None = None
    extra: JsonValue = None
    played_at: datetime | None = Field(None, description="when it was played, if a game server sent a time")
    voided: bool | None = Field(None, description="true if staff have voided it; else left out")
    held: bool | None = Field(None, description="true if staff have to approve it before it counts; else left out")


class Export(BaseModel):
    """Everything that is kept of the caller. Sessions oldest first."""

    model_config = shown(examples.EXPORT)

    player: KeptPlayer | None = Field(description="null for one who is on no board")
    standings: list[KeptStanding]
    results: list[KeptResult] = Field(description="of periods that have ended: they are kept for ever")
    reports: list[KeptReport]
    sessions: list[KeptSession]
