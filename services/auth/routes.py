"""HTTP of the auth service."""

from fastapi import APIRouter, Request, Response

from services.auth.dependencies import FORM, REFRESH_COOKIE, Caller, Login, RefreshToken, Registration, Sender, Service
from services.auth.errors import InvalidCredentials, InvalidRefreshToken, PasswordQueueFull, TooManyFailures, UsernameTaken
from services.auth.schemas import AccessToken, Account, Credentials, NewAccount, PasswordForm, Registered
from services.auth.service import SignedIn
from services.common.problems import (
    BodyTooLarge,
    InvalidRequest,
    ServiceUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
    documented,
)
from services.common.requests import JSON, body_schema

PREFIX = "/auth"

router = APIRouter(prefix=PREFIX, tags=["accounts"])


def _answer(request: Request, response: Response, signed_in: SignedIn) -> AccessToken:
    response.set_cookie(
        REFRESH_COOKIE,
        signed_in.refresh_token,
        max_age=signed_in.refresh_expires_in,
        path=PREFIX,
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
    return AccessToken(access_token=signed_in.access_token, expires_in=signed_in.expires_in)


def _clear_cookie(request: Request, response: Response) -> None:
    response.delete_cookie(REFRESH_COOKIE, PREFIX, secure=request.scope["scheme"] == "https", httponly=True, samesite="strict")


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
)
async def login(credentials: Login, service: Service, sender: Sender, request: Request, response: Response) -> AccessToken:
    return _answer(request, response, await service.login(credentials.username, credentials.password, sender))


@router.post(
    "/refresh",
    summary="Get a new access token",
    description="Takes the refresh token from its cookie and replaces it. A refresh token that is used twice ends its family.",
    responses=documented(InvalidRefreshToken, InvalidRequest, ServiceUnavailable),
)
async def refresh(
    service: Service, sender: Sender, request: Request, response: Response, token: RefreshToken = None
) -> AccessToken:
    return _answer(request, response, await service.refresh(token, sender))


@router.post("/logout", status_code=204, summary="Sign out", responses=documented(InvalidRequest, ServiceUnavailable))
async def logout(service: Service, sender: Sender, request: Request, response: Response, token: RefreshToken = None) -> None:
    await service.logout(token, sender)
    _clear_cookie(request, response)


@router.get("/me", summary="Who I am", responses=documented(Unauthenticated, ServiceUnavailable))
async def me(caller: Caller, service: Service, response: Response) -> Account:
    user = await service.get_user(caller)
    response.headers["Cache-Control"] = "no-store"
    return Account(user_id=user.user_id, username=user.username, created_at=user.created_at)
