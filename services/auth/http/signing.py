"""HTTP of signing up, in and out."""

from fastapi import Request, Response

from services.auth.errors import InvalidCredentials, InvalidRefreshToken, PasswordQueueFull, TooManyFailures, UsernameTaken
from services.auth.http.cookies import clear_refresh_cookie
from services.auth.http.dependencies import (
    KnownDevice,
    Login,
    RefreshToken,
    Registration,
    Sender,
    Service,
    new_router,
    require_page_of_cookies,
)
from services.auth.http.handing_out import hand_out, kind_of
from services.auth.http.schemas import LoginCredentials, NewAccount, Registered, SessionToken, Tokens
from services.auth.sessions.families import Kind
from services.common.http.problems import BodyTooLarge, InvalidRequest, ServiceUnavailable, UnsupportedMediaType, documented
from services.common.http.requests import JSON, body_schema

router = new_router("accounts")


@router.post(
    "/register",
    status_code=201,
    summary="Create an account",
    responses=documented(
        UsernameTaken, BodyTooLarge, UnsupportedMediaType, InvalidRequest, PasswordQueueFull, ServiceUnavailable
    ),
    openapi_extra=body_schema({JSON: NewAccount}),
)
async def register(account: Registration, service: Service, sender: Sender) -> Registered:
    user_id, username = await service.register(account.username, account.password, sender)
    return Registered(user_id=user_id, username=username)


@router.post(
    "/login",
    summary="Sign in",
    description='Sets the refresh cookie and a device cookie. With `"session": "token"` no cookie is set or read, and the '
    "refresh token is in the answer. Too many wrong passwords for an account delay the next attempt. A browser that sends "
    "its device cookie has a count of wrong passwords of its own, so strangers' guesses do not delay it.",
    response_model_exclude_none=True,
    responses=documented(
        InvalidCredentials,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        TooManyFailures,
        PasswordQueueFull,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: LoginCredentials}),
)
async def login(
    credentials: Login, service: Service, sender: Sender, device: KnownDevice, request: Request, response: Response
) -> Tokens:
    kind = kind_of(credentials.session)
    require_page_of_cookies(request, kind)
    known = device if kind is Kind.BROWSER else None
    signed_in, own_device = await service.login(credentials.username, credentials.password, sender, kind, known)
    return hand_out(request, response, signed_in, kind, own_device)


@router.post(
    "/refresh",
    summary="Refresh the access token",
    description="Takes the refresh token from the body, or from its cookie if there is no body, and replaces it in the same "
    "place. If the answer was lost, send the same token again within 30 seconds: while its successor is unused, the "
    "answer is that successor. A used token that is sent later ends its session.",
    response_model_exclude_none=True,
    responses=documented(InvalidRefreshToken, BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
    openapi_extra=body_schema({JSON: SessionToken}, required=False),
)
async def refresh(service: Service, sender: Sender, request: Request, response: Response, carried: RefreshToken) -> Tokens:
    return hand_out(request, response, await service.refresh(carried.token, sender), carried.kind)


@router.post(
    "/logout",
    status_code=204,
    summary="Sign out",
    description="Ends the session of the refresh token in the body. Without a body it ends the session of the cookie, and "
    "clears the cookie. The leaderboard service accepts the session's access token until it expires, 15 minutes by "
    "default, so delete it.",
    responses=documented(BodyTooLarge, UnsupportedMediaType, InvalidRequest, ServiceUnavailable),
    openapi_extra=body_schema({JSON: SessionToken}, required=False),
)
async def logout(service: Service, sender: Sender, request: Request, response: Response, carried: RefreshToken) -> None:
    require_page_of_cookies(request, carried.kind)
    await service.logout(carried.token, sender)
    if carried.kind is Kind.BROWSER:
        clear_refresh_cookie(request, response)
