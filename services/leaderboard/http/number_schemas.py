"""What is asked of the numbers of a board, and what is answered."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.common.tokens import MAX_USER_ID
from services.leaderboard.boards.document import whole
from services.leaderboard.http import examples
from services.leaderboard.http.examples import shown
from services.leaderboard.http.schemas import OfBoard

MOST_PLAYERS: Final = 200

_Id = Annotated[int, Field(ge=1, le=MAX_USER_ID)]
_UserId = Annotated[_Id, BeforeValidator(whole, json_schema_input_type=_Id)]


def _distinct(user_ids: list[int]) -> list[int]:
    if len(set(user_ids)) < len(user_ids):
        raise ValueError("Name each player once")
    return user_ids


class AskedPlayers(BaseModel):
    """Players, whose ranks are asked for: friends, a clan, a lobby."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": [{"user_ids": [9, 7]}]})

    user_ids: Annotated[list[_UserId], AfterValidator(_distinct)] = Field(
        min_length=1, max_length=MOST_PLAYERS, json_schema_extra={"uniqueItems": True}, description="each once"
    )


class AskedPlayerRank(BaseModel):
    user_id: int
    username: str | None = Field(description="null for a player who has played nowhere or is banned")
    rank: int | None = Field(description="rank among all players; null for a player who is not ranked in the period")
    score: int | None = Field(description="null as the rank is")
    place: int | None = Field(description="rank among the players of this list; null if the rank is null")


class PlayerRanks(OfBoard):
    """The ranks of some players: the best first, of equal scores in the order of the call, and last who is not ranked."""

    model_config = shown({**examples.OF_BOARD, "ranks": examples.ASKED_RANKS})

    ranks: list[AskedPlayerRank]


class ScoreRank(OfBoard):
    """The rank that a score would have, if somebody came to it now."""

    model_config = shown({**examples.OF_BOARD, "score": 1000, "rank": 2, "percentile": 50.0})

    score: int
    rank: int = Field(description="1 + the number of players strictly ahead of it")
    percentile: float | None = Field(
        description="how many per cent of the players have this score or a worse one; null if nobody is ranked"
    )


class ScoreBin(BaseModel):
    """How many players have a score from one to another, both included."""

    model_config = ConfigDict(serialize_by_alias=True)

    least: int = Field(alias="from")
    greatest: int = Field(alias="to")
    count: int


class ScoreDistribution(OfBoard):
    """How many players have which scores. Where nobody is ranked there is no bin, and the quantiles are null."""

    model_config = shown(
        {
            **examples.OF_BOARD,
            "bins": [{"from": 900, "to": 1050, "count": 1}, {"from": 1051, "to": 1200, "count": 1}],
            "quantiles": {"10": 900, "25": 900, "50": 900, "75": 1200, "90": 1200, "99": 1200},
        }
    )

    bins: list[ScoreBin] = Field(
        description="of equal width, but for the last one, which ends with the greatest score; the least score first"
    )
    quantiles: dict[str, int | None] = Field(
        description="for 10, 25, 50, 75, 90 and 99 per cent: the lowest score that so many per cent of the players have or "
        "stay below, by the nearest rank"
    )
