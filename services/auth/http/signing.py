"""HTTP of signing up, in and out."""

from fastapi import Depends, Request, Response

from services.auth.errors import InvalidCredentials, InvalidRefreshToken, PasswordQueueFull, TooManyFailures, UsernameTaken
from services.auth.http.cookies import clear_refresh_cookie, set_device_cookie, set_refresh_cookie
from services.auth.http.dependencies import (
    FORM,
    KnownDevice,
    Login,
    RefreshToken,
    Registration,
    Sender,
    Service,
    new_router,
    own_page,
)
from services.auth.http.schemas import AccessToken, Credentials, NewAccount, PasswordForm, Registered
from services.auth.signing import SignedIn
from services.common.http.problems import BodyTooLarge, InvalidRequest, ServiceUnavailable, UnsupportedMediaType, documented
from services.common.http.requests import JSON, body_schema

router = new_router("accounts")


def _answer(request: Request, response: Response, signed_in: SignedIn) -> AccessToken:
    set_refresh_cookie(request, response, signed_in.refresh_token, signed_in.refresh_expires_in)
    if signed_in.device is not None:
        set_device_cookie(request, response, signed_in.device)
    return AccessToken(access_token=signed_in.access_token, expires_in=signed_in.expires_in)


@router.post(
    "/register",
    status_code=201,
    summary="Make an account",
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
    description="Too many wrong passwords for an account delay the next one. Sets the refresh cookie, and a device cookie: a "
    "browser that sends it back has a count of wrong passwords of its own, which those of strangers are not added to.",
    responses=documented(
        InvalidCredentials,
        BodyTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        TooManyFailures,
        PasswordQueueFull,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({JSON: Credentials, FORM: PasswordForm}),
    dependencies=[Depends(own_page)],
)
async def login(
    credentials: Login, service: Service, sender: Sender, device: KnownDevice, request: Request, response: Response
) -> AccessToken:
    return _answer(request, response, await service.login(credentials.username, credentials.password, sender, device))


@router.post(
    "/refresh",
    summary="Get a new access token",
    description="Takes the refresh token from its cookie and replaces it. A refresh token that is used twice ends its family.",
    responses=documented(InvalidRefreshToken, InvalidRequest, ServiceUnavailable),
)
async def refresh(service: Service, sender: Sender, request: Request, response: Response, token: RefreshToken) -> AccessToken:
    return _answer(request, response, await service.refresh(token, sender))


@router.post(
    "/logout",
    status_code=204,
    summary="Sign out",
    description="Ends the session of the refresh token in the cookie, and clears the cookie. The leaderboard service does not "
    "ask whether a session goes on: there its access token is good until it expires, 15 minutes by default. So forget it.",
    responses=documented(InvalidRequest, ServiceUnavailable),
    dependencies=[Depends(own_page)],
)
async def logout(service: Service, sender: Sender, request: Request, response: Response, token: RefreshToken) -> None:
    await service.logout(token, sender)
    clear_refresh_cookie(request, response)
