"""A game session as it is written down: in a submission, and in a line that is imported."""

import json
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from services.common.http.requests import Time
from services.common.tokens import MAX_USER_ID
from services.leaderboard.boards.document import MetricName, Name, TagValue, Value, whole
from services.leaderboard.rules.names import SCORE, SESSIONS
from services.leaderboard.rules.places import MOST_PLACES
from services.leaderboard.rules.played import Played

MAX_EXTRA_BYTES = 1_024
MAX_EXTRA_DEPTH = 16
_OURS = frozenset({SCORE, SESSIONS})


def _not_ours(metrics: dict[str, int]) -> dict[str, int]:
    for name in sorted(_OURS.intersection(metrics)):
        raise PydanticCustomError("reserved_metric", "Each session has the metric {name} without saying so", {"name": name})
    return metrics


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("named_twice", "A board is named once")
    return names


def _written(value: object) -> str | None:
    """JSON as it is kept: without blanks between its parts."""
    if value is None:
        return None
    if _is_too_deep(value):
        raise PydanticCustomError("too_deep", "It is nested {most} levels deep at most", {"most": MAX_EXTRA_DEPTH})
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except ValueError:  # a number that JSON does not have, half a character, or one of thousands of digits
        raise PydanticCustomError("not_json", "It must be JSON") from None
    if size > MAX_EXTRA_BYTES:
        raise PydanticCustomError("too_long", "Written out, it has {most} bytes at most", {"most": MAX_EXTRA_BYTES})
    return text


def _is_too_deep(value: object) -> bool:
    """Whether more lists and objects are in each other than may."""
    level = [value]
    for _ in range(MAX_EXTRA_DEPTH + 1):
        lists = [list(each.values()) if isinstance(each, dict) else each for each in level if isinstance(each, (dict, list))]
        if not lists:
            return False
        level = [member for each in lists for member in each]
    return True


WhoseId = Annotated[int, Field(ge=1, le=MAX_USER_ID), BeforeValidator(whole, json_schema_input_type=int)]


class SessionDocument(BaseModel):
    """What a session says of itself, whoever submits it. Its time is said by those alone who are trusted to."""

    model_config = ConfigDict(strict=True, extra="forbid")

    score: Value = Field(
        description="an integer within the bounds of the boards; `1200.0` is one",
        examples=[1200],
    )
    metrics: Annotated[dict[MetricName, Value], Field(max_length=8), AfterValidator(_not_ours)] = Field(
        default_factory=dict, description="values beside the score, by which boards may rank", examples=[{"laps": 3}]
    )
    tags: dict[MetricName, TagValue] = Field(
        default_factory=dict, max_length=8, description="what boards choose sessions by", examples=[{"track": "alps"}]
    )
    extra: Annotated[str | None, BeforeValidator(_written, json_schema_input_type=JsonValue)] = Field(
        None,
        description=f"what the game keeps with the session: JSON of {MAX_EXTRA_BYTES:,} bytes, {MAX_EXTRA_DEPTH} levels deep",
    )
    boards: Annotated[list[Name], AfterValidator(_distinct)] | None = Field(
        None, min_length=1, max_length=MOST_PLACES, description="the boards that it counts for, and no others"
    )
    played_at: Time | None = Field(
        None,
        description="when it was played, which decides in which periods it counts, if they take sessions still; without it, "
        "it is of now",
    )

    def played(self) -> Played:
        """The session's values."""
        return Played(self.score, self.metrics, self.tags, self.extra, self.boards, self.played_at)
