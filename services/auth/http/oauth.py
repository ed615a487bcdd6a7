"""HTTP of the OAuth2 token endpoint (RFC 6749), for clients that speak it: Swagger's Authorize, and libraries for games."""

from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from services.auth.errors import (
    InvalidCredentials,
    InvalidGrant,
    InvalidRefreshToken,
    InvalidTokenRequest,
    PasswordQueueFull,
    TooManyFailures,
    UnsupportedGrantType,
)
from services.auth.http.dependencies import FORM, Sender, Service, new_router
from services.auth.http.schemas import GrantedTokens, TokenRequest
from services.auth.sessions.families import Kind
from services.common.http.authentication import TOKEN_URL
from services.common.http.problems import BodyTooLarge, ServiceUnavailable, UnsupportedMediaType, documented
from services.common.http.requests import body_schema, content_type, invalid, require_plain

router = new_router("accounts")

# The grants, and what each needs.
_NEEDED = {"password": ("username", "password"), "refresh_token": ("refresh_token",)}


async def _read_grant(request: Request) -> TokenRequest:
    """Raises InvalidTokenRequest or UnsupportedGrantType."""
    if content_type(request) != FORM:
        raise InvalidTokenRequest(f"Send the body as {FORM}.")
    try:
        require_plain(request)
    except UnsupportedMediaType as error:
        raise InvalidTokenRequest(error.detail) from None
    async with request.form(max_fields=16, max_files=0) as form:
        # RFC 6749, section 3.2: what has no value is not there, what is not known is ignored, and nothing is there twice.
        sent = [(name, value) for name, value in form.multi_items() if value]
    fields = dict(sent)
    if len(fields) < len(sent):
        raise InvalidTokenRequest("A parameter is there twice.")
    kind = fields.get("grant_type")
    if isinstance(kind, str) and kind not in _NEEDED:
        raise UnsupportedGrantType(f"There are the grants {' and '.join(f'`{name}`' for name in _NEEDED)}.")
    try:
        grant = TokenRequest.model_validate(fields)
    except ValidationError as error:
        problem = invalid(error)
        raise InvalidTokenRequest(problem.detail, errors=problem.errors) from None
    if missing := [f"`{name}`" for name in _NEEDED[grant.grant_type] if name not in fields]:
        raise InvalidTokenRequest(f"The grant `{grant.grant_type}` needs {' and '.join(missing)}.")
    return grant


@router.post(
    TOKEN_URL.removeprefix(router.prefix),
    summary="Get tokens as an OAuth2 client",
    description='The grant `password` begins a session without a cookie, as `/auth/login` does with `"session": "token"`; the '
    "grant `refresh_token` goes on with it, as `/auth/refresh` does. Errors carry OAuth's code in `error`.",
    responses=documented(
        InvalidTokenRequest,
        UnsupportedGrantType,
        InvalidGrant,
        BodyTooLarge,
        TooManyFailures,
        PasswordQueueFull,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({FORM: TokenRequest}),
)
async def token(
    grant: Annotated[TokenRequest, Depends(_read_grant)], service: Service, sender: Sender, response: Response
) -> GrantedTokens:
    try:
        match grant:
            case TokenRequest(grant_type="password", username=str(username), password=str(password)):
                signed_in, _ = await service.login(username, password, sender, Kind.APP)
            case _:
                signed_in = await service.refresh(grant.refresh_token, sender)
    except (InvalidCredentials, InvalidRefreshToken) as error:
        raise InvalidGrant(error.detail) from None
    response.headers["Pragma"] = "no-cache"  # RFC 6749, section 5.1
    return GrantedTokens(
        access_token=signed_in.access_token, expires_in=signed_in.expires_in, refresh_token=signed_in.refresh_token
    )
