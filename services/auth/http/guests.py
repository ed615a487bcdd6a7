"""HTTP of guests: playing without a password, and keeping the account."""

from fastapi import Request, Response

from services.auth.errors import NotAGuest, PasswordQueueFull, UsernameTaken
from services.auth.http.dependencies import (
    SIGNED_IN,
    Caller,
    ChosenCredentials,
    Guests,
    GuestsSession,
    Sender,
    new_router,
    require_page_of_cookies,
)
from services.auth.http.handing_out import hand_out, kind_of
from services.auth.http.schemas import GuestSession, NewAccount, NewGuest, Tokens
from services.common.http.problems import (
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import JSON, body_schema

router = new_router("accounts")


@router.post(
    "/guest",
    status_code=201,
    summary="Play as a guest",
    description="Creates an account with a generated username and no password, and begins its only session: in a cookie or, "
    'with `"session": "token"`, without one. Nobody can sign in to the account. It is deleted 90 days after that '
    "session has ended. `POST /auth/me/credentials` turns it into an ordinary account.",
    response_model_exclude_none=True,
    responses=documented(UsernameTaken, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
    openapi_extra=body_schema({JSON: GuestSession}, required=False),
)
async def play_as_guest(asked: GuestsSession, guests: Guests, sender: Sender, request: Request, response: Response) -> NewGuest:
    kind = kind_of(asked.session)
    require_page_of_cookies(request, kind)
    user, signed_in = await guests.make(sender, kind)
    tokens = hand_out(request, response, signed_in, kind)
    return NewGuest(user_id=user.user_id, username=user.username, **tokens.model_dump())


@router.post(
    "/me/credentials",
    summary="Turn my guest account into an ordinary one",
    description="Gives a guest's account a username and a password. Its number and its scores stay. A new session of the same "
    "kind replaces the guest's session, whose tokens this service refuses from then on. A studio's player may do this "
    "too, and stays the user of their identity.",
    response_model_exclude_none=True,
    responses=documented(
        *SIGNED_IN,
        NotAGuest,
        UsernameTaken,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        PasswordQueueFull,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: NewAccount}),
)
async def keep_guest(
    caller: Caller, chosen: ChosenCredentials, guests: Guests, sender: Sender, request: Request, response: Response
) -> Tokens:
    signed_in, kind, device = await guests.keep(caller, chosen.username, chosen.password, sender)
    return hand_out(request, response, signed_in, kind, device)
