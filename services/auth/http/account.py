"""HTTP of an account that is signed in."""

from fastapi import Request, Response

from services.auth.errors import (
    LastAdmin,
    NotForGuests,
    PasswordQueueFull,
    TooManyEvents,
    TooManyFailures,
    TooManyNames,
    UsernameTaken,
    WrongPassword,
)
from services.auth.http.cookies import clear_device_cookie, clear_refresh_cookie, set_device_cookie
from services.auth.http.dependencies import (
    SIGNED_IN,
    Caller,
    Confirming,
    DeletionRequest,
    KnownCallers,
    OwnAccount,
    PasswordChange,
    Sender,
    UsernameChange,
    new_router,
)
from services.auth.http.schemas import (
    AccessToken,
    Account,
    Confirmation,
    Deletion,
    NewPassword,
    NewUsername,
)
from services.common.http.problems import (
    BodyTooLarge,
    InvalidRequest,
    Problem,
    ServiceUnavailable,
    UnsupportedMediaType,
    documented,
)
from services.common.http.requests import JSON, body_schema

router = new_router("account")

# What a route may answer that reads a body, and one that asks for the password.
_BODY: tuple[type[Problem], ...] = (BodyTooLarge, UnsupportedMediaType, InvalidRequest)
_PASSWORD: tuple[type[Problem], ...] = (WrongPassword, TooManyFailures, PasswordQueueFull)


@router.get("/me", summary="My account", response_model=Account, responses=documented(*SIGNED_IN, ServiceUnavailable))
async def me(caller: Caller, callers: KnownCallers) -> Response:
    return Response(await callers.account(caller), media_type=JSON, headers={"Cache-Control": "no-store"})


@router.post(
    "/confirm",
    summary="Confirm my password",
    description="Answers with an access token of this session whose `auth_time` is now. Some requests need one whose "
    "`auth_time` is at most 5 minutes old; otherwise they answer 401 `insufficient_user_authentication` (RFC 9470). A "
    "guest or a studio's player has no password and sends `{}`. Wrong passwords are counted by session, together with "
    "those of the other routes that ask for the password.",
    responses=documented(*SIGNED_IN, *_PASSWORD, TooManyEvents, *_BODY, ServiceUnavailable),
    openapi_extra=body_schema({JSON: Confirmation}),
)
async def confirm(caller: Caller, confirmation: Confirming, account: OwnAccount, sender: Sender) -> AccessToken:
    token, lifetime = await account.confirm(caller, confirmation.password, sender)
    return AccessToken(access_token=token, expires_in=int(lifetime.total_seconds()))


@router.put(
    "/me/password",
    status_code=204,
    summary="Change my password",
    description="Ends every other session. The leaderboard service accepts their access tokens until they expire, 15 minutes "
    "by default.",
    responses=documented(*SIGNED_IN, *_PASSWORD, NotForGuests, TooManyEvents, *_BODY, ServiceUnavailable),
    openapi_extra=body_schema({JSON: NewPassword}),
)
async def change_password(
    caller: Caller, change: PasswordChange, account: OwnAccount, sender: Sender, request: Request, response: Response
) -> None:
    device = await account.change_password(caller, change.current_password, change.new_password, sender)
    set_device_cookie(request, response, device)


@router.put(
    "/me/username",
    summary="Change my username",
    description="Answers with an access token that carries the new username. Other sessions carry it when they are refreshed. "
    "The boards show it within a second. The old username is reserved for 30 days: only its former owner may take it "
    "back. At most ten usernames are reserved for an account; then no rename is possible until the oldest is free.",
    responses=documented(*SIGNED_IN, UsernameTaken, TooManyNames, TooManyEvents, *_BODY, ServiceUnavailable),
    openapi_extra=body_schema({JSON: NewUsername}),
)
async def change_username(caller: Caller, change: UsernameChange, account: OwnAccount, sender: Sender) -> AccessToken:
    token, lifetime = await account.change_username(caller, change.username, sender)
    return AccessToken(access_token=token, expires_in=int(lifetime.total_seconds()))


@router.post(
    "/me/deletion",
    status_code=204,
    summary="Delete my account",
    description="Deletes the account and its sessions for good, and clears the cookies. Its username is reserved for 30 days. "
    "A guest or a studio's player has no password and sends `{}`. Within a second the leaderboard erases what it has of "
    "the player, and refuses the remaining access tokens. What stays is the account's number and the audit log without "
    "the username. The last admin must make another user an admin first.",
    responses=documented(*SIGNED_IN, *_PASSWORD, LastAdmin, *_BODY, ServiceUnavailable),
    openapi_extra=body_schema({JSON: Deletion}),
)
async def delete_account(
    caller: Caller, deletion: DeletionRequest, account: OwnAccount, sender: Sender, request: Request, response: Response
) -> None:
    await account.delete(caller, deletion.password, sender)
    clear_refresh_cookie(request, response)
    clear_device_cookie(request, response)
