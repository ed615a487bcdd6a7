"""Reading the caller's access token from a request. RFC 6750."""

from typing import Any

from fastapi import Request
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlowPassword, OAuthFlows
from fastapi.security import OAuth2, SecurityScopes

from services.common.http.problems import (
    RECENT_SECONDS,
    InsufficientScope,
    NotForKeys,
    PasswordTooOld,
    Unauthenticated,
    invalid_token,
)
from services.common.tokens import Caller, InvalidToken, KeyPrincipal, Principal, Scope, TokenVerifier

# Where Swagger's Authorize asks for a token, for either service: the gateway serves both from one origin.
_NAME = "AccessToken"
TOKEN_URL = "/auth/token"  # noqa: S105 - a path, not a secret
_SCOPES = {
    Scope.ADMIN: "roles of staff, and keys",
    Scope.BOARDS: "boards, and their periods that are written down",
    Scope.MODERATE: "what others played, and who may play",
    Scope.PLAYERS: "the players of a studio's own accounts",
    Scope.SCORES: "sessions of any player",
}
_KEY_SCOPES = {scope.value: meaning for scope, meaning in _SCOPES.items() if scope is not Scope.ADMIN}


class _AccessToken(OAuth2):
    """The request's one bearer token, as the API documents describe it.

    ``app.state.verifier`` holds the TokenVerifier. Nothing but the Authorization header is looked at: RFC 9700,
    section 4.3.2 forbids tokens in the query.
    """

    def __init__(self) -> None:
        flows = OAuthFlows(
            password=OAuthFlowPassword(tokenUrl=TOKEN_URL),
            clientCredentials=OAuthFlowClientCredentials(tokenUrl=TOKEN_URL, scopes=_KEY_SCOPES),
        )
        super().__init__(flows=flows, scheme_name=_NAME, auto_error=False)

    @classmethod
    def _verify(cls, request: Request) -> Caller:
        return cls._verify_until(request)[0]

    @staticmethod
    def _verify_until(request: Request) -> tuple[Caller, float]:
        headers = request.headers.getlist("authorization")
        if not headers:
            raise Unauthenticated("Send an access token: `Authorization: Bearer …`.")
        scheme, _, token = headers[0].partition(" ")
        if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send exactly one access token: `Authorization: Bearer …`.")
        verifier: TokenVerifier = request.app.state.verifier
        try:
            return verifier.verify_until(token.strip())
        except InvalidToken as error:
            raise invalid_token(str(error)) from None


class Authenticated(_AccessToken):
    """Dependency: the user that the token speaks for. Raises Unauthenticated and NotForKeys."""

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]  # a principal, not the bare token
        caller = self._verify(request)
        if not isinstance(caller, Principal):
            raise NotForKeys("Send a player's access token: this one is a key's.")
        return caller


class AuthenticatedIfTold(_AccessToken):
    """Dependency: whoever the token speaks for, and until when it is accepted, in seconds since 1970; None without a token.

    Raises Unauthenticated for a token that is not accepted. `OPTIONALLY` is what such a route passes as ``openapi_extra``.
    """

    async def __call__(self, request: Request) -> tuple[Caller, float] | None:  # type: ignore[override]  # as above
        return self._verify_until(request) if "authorization" in request.headers else None


class Authorized(_AccessToken):
    """Dependency: whoever the token speaks for, a user or a key, if it has the scopes that the route names with
    `Security(authorized, scopes=[…])`. Raises Unauthenticated and InsufficientScope.
    """

    async def __call__(self, request: Request, needed: SecurityScopes) -> Caller:  # type: ignore[override]  # as above
        caller = self._verify(request)
        missing = [scope for scope in needed.scopes if scope not in caller.scopes]
        if missing:
            raise InsufficientScope(f"The access token lacks the scope {' '.join(missing)}.", scope=needed.scope_str)
        return caller


class AuthorizedOr(Authorized):
    """Dependency: the same, or whoever has another scope instead. `alternatively` documents that one too."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    async def __call__(self, request: Request, needed: SecurityScopes) -> Caller:  # type: ignore[override]  # as above
        caller = self._verify(request)
        return caller if self._scope in caller.scopes else await super().__call__(request, needed)


class AuthenticatedOrScoped(_AccessToken):
    """Dependency: the user that the token speaks for, or the key, which must have a scope.

    Raises Unauthenticated and InsufficientScope. FastAPI documents the first of these alone: `alternatively` gives what such a
    route passes as ``openapi_extra``.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]  # as above
        caller = self._verify(request)
        if isinstance(caller, KeyPrincipal) and self._scope not in caller.scopes:
            raise InsufficientScope(f"The access token lacks the scope {self._scope}.", scope=self._scope)
        return caller


def alternatively(scope: Scope) -> dict[str, Any]:
    """What the document says of a route beside its users: that keys with this scope may call it too."""
    return {"security": [{_NAME: [scope.value]}]}


OPTIONALLY: dict[str, Any] = {"security": [{}]}
"""What the document says of a route that may be asked without a token too."""


async def find_scopes(request: Request) -> frozenset[Scope]:
    """The scopes of a request that needs no access token: none where it has none that is good."""
    try:
        return frozenset(_AccessToken._verify(request).scopes)
    except Unauthenticated:
        return frozenset()


authenticated = Authenticated()
authorized = Authorized()


def require_recent_password(principal: Principal, now: float) -> None:
    """Raise PasswordTooOld unless the session's password was given in the last RECENT_SECONDS. ``now``: seconds since 1970."""
    if principal.auth_time is None or now - principal.auth_time > RECENT_SECONDS:
        raise PasswordTooOld("Confirm your password (POST /auth/confirm), and ask again with the access token that it gives.")
