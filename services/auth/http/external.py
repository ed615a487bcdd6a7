"""HTTP of a studio's players: those whom it knows by accounts elsewhere, and signs in itself."""

from typing import Annotated, Any

from fastapi import Depends, Path, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from services.auth.accounts.external import Identity
from services.auth.accounts.usernames import InvalidUsername, Username
from services.auth.errors import IdentityNotFound, StaffSignIn, UsernameTaken
from services.auth.http.cookies import PREFIX
from services.auth.http.dependencies import SCOPED, PlayersWriter, Sender, Studio, UsernameChange, new_router
from services.auth.http.schemas import GrantedTokens, NewName, NewUsername
from services.auth.studio import Provided, WantedPlayer
from services.common.http.problems import (
    BodyTooLarge,
    FieldError,
    InvalidRequest,
    Problem,
    ProblemDetails,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
    field_errors,
    invalid_request,
)
from services.common.http.requests import JSON, body_schema, json_body

router = new_router("external")

MANY = f"{PREFIX}/external"
"""The path of many players at once, whose bodies are larger than others."""
MAX_BYTES = 131_072
_MOST = 500
# What is told apart from a member that there is not: of more nobody is told each.
_MOST_MEMBERS = 16

_PLAYER: dict[str, JsonValue] = {"user_id": 7, "username": "Ada", "renamed": False}
_PROVIDER = r"^[a-z0-9_-]{1,32}$"
# A path has no control characters, no other ends of lines and no encoded slash: the gateway refuses them. Bytes that are no
# UTF-8 come as U+FFFD, each like the other.
_EXTERNAL_ID = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd/]{1,128}$"
_ID_RULE = "1 to 128 characters without control characters, as bytes; none is `/`, which an id in base64url has not"


def _no_step(external_id: str) -> str:
    if external_id in {".", ".."}:
        raise ValueError("Input should be no step of a path")
    return external_id


Provider = Annotated[str, Path(pattern=_PROVIDER, description="where the account is; what you call it")]
ExternalId = Annotated[str, Path(pattern=_EXTERNAL_ID, description=_ID_RULE), AfterValidator(_no_step)]


class NewPlayer(BaseModel):
    """Somebody's account elsewhere, and what they would be called here."""

    model_config = ConfigDict(strict=True, extra="forbid")

    provider: str = Field(pattern=_PROVIDER, examples=["steam"])
    external_id: Annotated[str, AfterValidator(_no_step)] = Field(
        pattern=_EXTERNAL_ID, description=_ID_RULE, examples=["76561197960287930"]
    )
    username: NewName


class NewPlayers(BaseModel):
    """Many of them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    identities: list[NewPlayer] = Field(min_length=1, max_length=_MOST)


class _Sent(BaseModel):
    """`NewPlayers`, whose items are looked at one by one: a bad one fails no other."""

    model_config = ConfigDict(strict=True, extra="forbid")

    identities: list[Any] = Field(min_length=1, max_length=_MOST)


class Player(BaseModel):
    """The user of an identity."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PLAYER]})

    user_id: int
    username: str
    renamed: bool = Field(
        description="whether the username differs from the one that was asked for, because that is taken or the player "
        "already has another"
    )


class PlayerResult(Player):
    """What became of one identity of many."""

    status: int = Field(description="201: made; 200: found")


class RefusedResult(BaseModel):
    """Why one identity of many was refused."""

    status: int = Field(description="the problem's")
    problem: ProblemDetails


class Results(BaseModel):
    """What became of each identity, in their order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"results": [{"status": 201, **_PLAYER}]}]})

    results: list[PlayerResult | RefusedResult]


@router.put(
    "/external/{provider}/{external_id}",
    summary="Create or find a user for your own player",
    description="Creates a user for a player whom you know by an account elsewhere (201), or finds the user that was created "
    "before (200). A username that is taken or reserved gets a number behind it. A user who is found keeps their "
    "username. Such a user needs no password: sign them in with `POST …/token`.",
    response_model=Player,
    responses={
        **documented(*SCOPED, UsernameTaken, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
        201: {"model": Player, "description": "Made"},
    },
    openapi_extra=body_schema({JSON: NewUsername}),
)
async def provide_player(
    caller: PlayersWriter,
    provider: Provider,
    external_id: ExternalId,
    asked: UsernameChange,
    studio: Studio,
    sender: Sender,
    response: Response,
) -> Player:
    wanted = WantedPlayer(Identity(provider, external_id), _name(asked.username, "#/username"))
    [provided] = await studio.provide(caller, [wanted], sender)
    if isinstance(provided, Problem):
        raise provided
    response.status_code = 201 if provided.made else 200
    return Player(user_id=provided.user_id, username=provided.username, renamed=provided.renamed)


@router.post(
    "/external",
    summary="Create or find users for many of your own players",
    description="Like `PUT /auth/external/{provider}/{external_id}`, for up to 500 players in one call of at most 128 KiB. "
    "Results come in the order of the call. A player who is refused does not affect the others.",
    response_model_exclude_none=True,
    responses=documented(*SCOPED, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
    openapi_extra=body_schema({JSON: NewPlayers}),
)
async def provide_players(
    caller: PlayersWriter, sent: Annotated[_Sent, Depends(json_body(_Sent))], studio: Studio, sender: Sender
) -> Results:
    read = [_read(number, item) for number, item in enumerate(sent.identities)]
    provided = iter(await studio.provide(caller, [each for each in read if isinstance(each, WantedPlayer)], sender))
    return Results(results=[_result(each if isinstance(each, Problem) else next(provided)) for each in read])


@router.post(
    "/external/{provider}/{external_id}/token",
    summary="Sign in your own player",
    description='Begins a session without a cookie, as `/auth/login` does with `"session": "token"`. Give both tokens to '
    "the player's game, which refreshes them by itself.",
    response_model_exclude_none=True,
    responses=documented(*SCOPED, IdentityNotFound, StaffSignIn, InvalidRequest, ServiceUnavailable),
)
async def sign_in_player(
    caller: PlayersWriter, provider: Provider, external_id: ExternalId, studio: Studio, sender: Sender
) -> GrantedTokens:
    signed_in = await studio.sign_in(caller, Identity(provider, external_id), sender)
    return GrantedTokens(
        access_token=signed_in.access_token, expires_in=signed_in.expires_in, refresh_token=signed_in.refresh_token
    )


def _name(text: str, pointer: str) -> Username:
    """Raises InvalidRequest."""
    try:
        return Username.parse(text)
    except InvalidUsername as error:
        raise InvalidRequest(f"{error}", errors=[FieldError(detail=f"{error}", pointer=pointer)]) from None


def _read(number: int, item: Any) -> WantedPlayer | InvalidRequest:
    """One item of many, or what is wrong with it."""
    place = f"#/identities/{number}"
    if isinstance(item, dict) and len(item) > _MOST_MEMBERS:
        return invalid_request([FieldError(detail="There are members that there are not to be", pointer=place)])
    try:
        player = NewPlayer.model_validate(item)
        return WantedPlayer(Identity(player.provider, player.external_id), _name(player.username, f"{place}/username"))
    except ValidationError as error:
        faults = field_errors(error)
        return invalid_request(
            [FieldError(detail=each.detail, pointer=place + (each.pointer or "#").removeprefix("#")) for each in faults]
        )
    except InvalidRequest as problem:
        return problem


def _result(each: Provided | Problem) -> PlayerResult | RefusedResult:
    if isinstance(each, Provided):
        status = 201 if each.made else 200
        return PlayerResult(status=status, user_id=each.user_id, username=each.username, renamed=each.renamed)
    problem = ProblemDetails(
        type=each.type, title=each.title, status=each.status, detail=each.detail, errors=list(each.errors) or None, error=None
    )
    return RefusedResult(status=each.status, problem=problem)
