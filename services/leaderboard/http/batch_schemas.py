"""What game servers send that submit many sessions at once, and what they are answered."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.common.http.problems import ProblemDetails
from services.common.tokens import MAX_USER_ID
from services.leaderboard.batch_writes import Item
from services.leaderboard.boards.document import whole
from services.leaderboard.http import examples
from services.leaderboard.http.dependencies import KEY_PATTERN
from services.leaderboard.http.examples import shown
from services.leaderboard.http.schemas import ScoreSubmission, SubmittedStanding

MOST_ITEMS: Final = 1_000


class BatchedSubmission(ScoreSubmission):
    """A game session, whose it is, and what it is called: what comes for a user with the same key is the same session."""

    user_id: Annotated[int, Field(ge=1, le=MAX_USER_ID), BeforeValidator(whole, json_schema_input_type=int)] = Field(
        description="whose session it is", examples=[7]
    )
    key: str = Field(
        pattern=KEY_PATTERN,
        description="the session's idempotency key: 1 to 64 visible ASCII characters",
        examples=["match-8812-7"],
    )

    def item(self) -> Item:
        return Item(self.user_id, self.key, self.played())


class Batch(BaseModel):
    """Game sessions, of any players."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [examples.BATCH]})

    submissions: list[BatchedSubmission] = Field(min_length=1, max_length=MOST_ITEMS)


class StoredItem(BaseModel):
    """A session that is stored, and how the player stands now."""

    status: Literal[200, 201] = Field(description="201; 200 if it was stored before")
    session_id: int
    held: bool = Field(description="whether staff have to approve it before it counts")
    standings: list[SubmittedStanding]


class RefusedItem(BaseModel):
    """A session that is not stored. Pointers in the problem are into the item."""

    status: int = Field(ge=400, le=599, description="the problem's")
    problem: ProblemDetails


class BatchResults(BaseModel):
    """What became of each session, in the order of the call."""

    model_config = shown(examples.BATCH_RESULTS)

    results: list[StoredItem | RefusedItem]
