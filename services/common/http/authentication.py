"""Reading the caller's access token from a request. RFC 6750."""

from fastapi import Request
from fastapi.security import OAuth2PasswordBearer

from services.common.http.problems import RECENT_SECONDS, PasswordTooOld, Unauthenticated, invalid_token
from services.common.tokens import InvalidToken, Principal, TokenVerifier

# Where Swagger's Authorize asks for a token, for either service: the gateway serves both from one origin.
TOKEN_URL = "/auth/token"  # noqa: S105 - a path, not a secret


class Authenticated(OAuth2PasswordBearer):
    """Dependency: the principal of the request's one bearer token. Raises Unauthenticated.

    ``app.state.verifier`` holds the TokenVerifier. Nothing but the Authorization header is looked at: RFC 9700,
    section 4.3.2 forbids tokens in the query.
    """

    def __init__(self) -> None:
        super().__init__(tokenUrl=TOKEN_URL, scheme_name="AccessToken", auto_error=False)

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]  # a principal, not the bare token
        headers = request.headers.getlist("authorization")
        if not headers:
            raise Unauthenticated("Send an access token: `Authorization: Bearer …`.")
        scheme, _, token = headers[0].partition(" ")
        if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send exactly one access token: `Authorization: Bearer …`.")
        verifier: TokenVerifier = request.app.state.verifier
        try:
            return verifier.verify(token.strip())
        except InvalidToken as error:
            raise invalid_token(str(error)) from None


authenticated = Authenticated()


def require_recent_password(principal: Principal, now: float) -> None:
    """Raise PasswordTooOld unless the session's password was given in the last RECENT_SECONDS. ``now``: seconds since 1970."""
    if principal.auth_time is None or now - principal.auth_time > RECENT_SECONDS:
        raise PasswordTooOld("Confirm your password (POST /auth/confirm), and ask again with the access token that it gives.")
