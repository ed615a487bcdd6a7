"""HTTP of moderating names. For staff and keys with the scope `moderate`."""

from typing import Annotated

from fastapi import Depends, Path, Request, Security
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from services.auth.errors import NameOfStaff, TooManyEvents, UsernameTaken
from services.auth.http.dependencies import SCOPED, Sender, new_router
from services.auth.moderation import NameModeration
from services.common.http.authentication import authorized
from services.common.http.problems import (
    BodyTooLarge,
    InvalidRequest,
    NotFound,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import DECIMAL, JSON, body_schema, json_body
from services.common.tokens import MAX_USER_ID, Caller, Scope

router = new_router("moderation")

_MAX_REASON = 500


def _readable(reason: str) -> str:
    if not reason.isprintable() or not reason.strip():
        raise PydanticCustomError("not_a_reason", "It is one line of characters that are shown")
    return reason


class Replacement(BaseModel):
    """Why a name is replaced, as the audit log keeps it for good: the name itself does not belong there."""

    model_config = ConfigDict(strict=True, extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=_MAX_REASON, examples=["an insult"]), AfterValidator(_readable)]


class ReplacedName(BaseModel):
    """The user, by the name that they have now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": 7, "username": "CosmicOtter4711"}]})

    user_id: int
    username: str


async def _names(request: Request) -> NameModeration:
    names: NameModeration = request.app.state.names
    return names


@router.post(
    "/users/{user_id}/name-replacement",
    summary="Replace a player's username",
    description="Gives the player a generated username. Nobody can take the old one again. The player's sessions go on: they "
    "see the new username, sign in with it, and may choose another. The boards show it within a second. A repeat "
    "generates another username.",
    responses=documented(
        *SCOPED,
        NotFound,
        NameOfStaff,
        UsernameTaken,
        TooManyEvents,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: Replacement}),
)
async def replace_name(
    user_id: Annotated[int, Path(ge=1, le=MAX_USER_ID, description="the user's number"), DECIMAL],
    caller: Annotated[Caller, Security(authorized, scopes=[Scope.MODERATE])],
    replacement: Annotated[Replacement, Depends(json_body(Replacement))],
    names: Annotated[NameModeration, Depends(_names)],
    sender: Sender,
) -> ReplacedName:
    return ReplacedName(user_id=user_id, username=await names.replace(caller, user_id, replacement.reason, sender))
