"""What the auth service's routes are handed."""

import uuid
from dataclasses import dataclass
from time import time
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response, Security
from pydantic import ValidationError

from services.auth.account import AccountService
from services.auth.audit.clients import Client
from services.auth.devices import SessionService
from services.auth.errors import CrossSiteRequest
from services.auth.exports import AccountExports
from services.auth.guests import GuestService
from services.auth.http.cookies import (
    PREFIX,
    carries_refresh_cookie,
    find_device_cookie,
    find_refresh_token,
    require_own_page,
)
from services.auth.http.schemas import (
    Confirmation,
    Deletion,
    GuestSession,
    LoginCredentials,
    NewAccount,
    NewPassword,
    NewRecoveryCodes,
    NewUsername,
    PasswordForm,
    Recovery,
    SessionToken,
)
from services.auth.recovery import RecoveryService
from services.auth.servers import KeyService, KeyTokens
from services.auth.sessions.callers import Callers
from services.auth.sessions.families import Kind
from services.auth.signing import AuthService
from services.auth.studio import StudioService
from services.common.http import problems
from services.common.http.authentication import authenticated, authorized, require_recent_password
from services.common.http.problems import NotForKeys, Problem, UnsupportedMediaType, documented
from services.common.http.requests import JSON, content_type, invalid, json_body, read_json, require_plain
from services.common.tokens import CLIENT_ID, KeyPrincipal, Principal, Scope

FORM = "application/x-www-form-urlencoded"

SIGNED_IN: tuple[type[Problem], ...] = (CrossSiteRequest, *problems.SIGNED_IN)
"""What a route may answer that is for users."""
SCOPED: tuple[type[Problem], ...] = (CrossSiteRequest, *problems.SCOPED)
"""What a route may answer that wants a scope."""
STAFF: tuple[type[Problem], ...] = (*SCOPED, NotForKeys)
"""What a route may answer that is for staff, who are users."""


# Async, like all of these: FastAPI runs what is not in a thread, which costs more than most requests.
async def _service(request: Request) -> AuthService:
    service: AuthService = request.app.state.service
    return service


async def _account(request: Request) -> AccountService:
    account: AccountService = request.app.state.account
    return account


async def _recoveries(request: Request) -> RecoveryService:
    recoveries: RecoveryService = request.app.state.recoveries
    return recoveries


async def _guests(request: Request) -> GuestService:
    guests: GuestService = request.app.state.guests
    return guests


async def _exports(request: Request) -> AccountExports:
    exports: AccountExports = request.app.state.exports
    return exports


async def _keys(request: Request) -> KeyService:
    keys: KeyService = request.app.state.keys
    return keys


async def _key_tokens(request: Request) -> KeyTokens:
    tokens: KeyTokens = request.app.state.key_tokens
    return tokens


async def _admin(caller: Annotated[Principal | KeyPrincipal, Security(authorized, scopes=[Scope.ADMIN])]) -> Principal:
    """One of staff, who has the scope in a session that is looked at. Raises NotForKeys: no key has it."""
    if not isinstance(caller, Principal):
        raise NotForKeys("This is for staff, not for keys.")
    return caller


async def _studio(request: Request) -> StudioService:
    studio: StudioService = request.app.state.studio
    return studio


async def _sessions(request: Request) -> SessionService:
    sessions: SessionService = request.app.state.sessions
    return sessions


async def _guard(request: Request, response: Response) -> None:
    """No answer is for caches, and no request that a browser adds the cookie to is for other sites. Raises CrossSiteRequest."""
    if carries_refresh_cookie(request):
        require_own_page(request)
    response.headers["Cache-Control"] = "no-store"


def require_page_of_cookies(request: Request, kind: Kind) -> None:
    """Refuse another site's request for what hands out the cookie or takes it back. Raises CrossSiteRequest.

    It need not carry one: another site's form could sign a visitor in as somebody else, who would read what they do, or out.
    A session without a cookie is nothing that a browser adds to a request, so whoever has its token may be anywhere.
    """
    if kind is Kind.BROWSER:
        require_own_page(request)


@dataclass(frozen=True, slots=True)
class Carried:
    """The refresh token that a request carries, if it has one: by its kind of session in the cookie, or in the body."""

    token: str | None
    kind: Kind


async def _carried(request: Request) -> Carried:
    """What is in the body, where there is one: then no cookie is looked at. Raises UnsupportedMediaType or InvalidRequest."""
    if not await request.body():
        return Carried(find_refresh_token(request), Kind.BROWSER)
    return Carried((await read_json(request, SessionToken)).refresh_token, Kind.APP)


async def _guest_session(request: Request) -> GuestSession:
    """What is asked for, or what is usual where there is no body. Raises UnsupportedMediaType or InvalidRequest."""
    return await read_json(request, GuestSession) if await request.body() else GuestSession()


async def _device_cookie(request: Request) -> str | None:
    return find_device_cookie(request)


async def _callers(request: Request) -> Callers:
    callers: Callers = request.app.state.callers
    return callers


async def _client(request: Request) -> Client:
    # uvicorn has put the address there that the gateway tells, if it is the gateway that connects.
    return Client.of(request.client.host if request.client else None, request.headers.get("user-agent", ""))


async def _read_login(request: Request) -> LoginCredentials:
    """JSON, or the OAuth2 password form. Raises UnsupportedMediaType, InvalidRequest or CrossSiteRequest."""
    if content_type(request) != JSON:
        require_own_page(request)  # a form of another site's needs no leave to be sent, and what it begins is in the cookie
    match content_type(request):
        case media_type if media_type == JSON:
            return await read_json(request, LoginCredentials)
        case media_type if media_type == FORM:
            require_plain(request)
            async with request.form(max_fields=16, max_files=0) as form:
                try:
                    sent = PasswordForm.model_validate({name: value for name, value in form.items() if value})
                except ValidationError as error:
                    raise invalid(error) from None
            return LoginCredentials(username=sent.username, password=sent.password)
        case _:
            raise UnsupportedMediaType(f"Send the body as {JSON} or {FORM}.")


Service = Annotated[AuthService, Depends(_service)]
KnownCallers = Annotated[Callers, Depends(_callers)]
Caller = Annotated[Principal, Depends(authenticated)]


async def _recent_caller(caller: Caller) -> Principal:
    """The caller, whose password was given lately. Raises PasswordTooOld."""
    require_recent_password(caller, time())
    return caller


RecentCaller = Annotated[Principal, Depends(_recent_caller)]
Admin = Annotated[Principal, Depends(_admin)]
Sender = Annotated[Client, Depends(_client)]
Registration = Annotated[NewAccount, Depends(json_body(NewAccount))]
PasswordChange = Annotated[NewPassword, Depends(json_body(NewPassword))]
UsernameChange = Annotated[NewUsername, Depends(json_body(NewUsername))]
Confirming = Annotated[Confirmation, Depends(json_body(Confirmation))]
CodesRequest = Annotated[NewRecoveryCodes, Depends(json_body(NewRecoveryCodes))]
RecoveryRequest = Annotated[Recovery, Depends(json_body(Recovery))]
DeletionRequest = Annotated[Deletion, Depends(json_body(Deletion))]
Login = Annotated[LoginCredentials, Depends(_read_login)]
RefreshToken = Annotated[Carried, Depends(_carried)]
KnownDevice = Annotated[str | None, Depends(_device_cookie)]
Guests = Annotated[GuestService, Depends(_guests)]
GuestsSession = Annotated[GuestSession, Depends(_guest_session)]
ChosenCredentials = Annotated[NewAccount, Depends(json_body(NewAccount))]
OwnAccount = Annotated[AccountService, Depends(_account)]
Recoveries = Annotated[RecoveryService, Depends(_recoveries)]
Exports = Annotated[AccountExports, Depends(_exports)]
Sessions = Annotated[SessionService, Depends(_sessions)]
Studio = Annotated[StudioService, Depends(_studio)]
PlayersWriter = Annotated[Principal | KeyPrincipal, Security(authorized, scopes=[Scope.PLAYERS])]
Keys = Annotated[KeyService, Depends(_keys)]
KeysTokens = Annotated[KeyTokens, Depends(_key_tokens)]
ClientId = Annotated[str, Path(pattern=CLIENT_ID, description="what a key is called, as `/auth/keys` gives it")]
SessionId = Annotated[uuid.UUID, Path(description="a session's id, as `/auth/sessions` gives it")]


def new_router(tag: str) -> APIRouter:
    """A router of this service, whose routes are guarded alike."""
    return APIRouter(prefix=PREFIX, tags=[tag], dependencies=[Depends(_guard)], responses=documented(CrossSiteRequest))
