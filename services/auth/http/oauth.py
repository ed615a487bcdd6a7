"""HTTP of the OAuth2 token endpoint (RFC 6749), for clients that speak it: Swagger's Authorize, game servers, libraries."""

import base64
import binascii
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from services.auth.errors import (
    InvalidClient,
    InvalidCredentials,
    InvalidGrant,
    InvalidRefreshToken,
    InvalidScope,
    InvalidTokenRequest,
    PasswordQueueFull,
    TooManyFailures,
    TooManyWrongSecrets,
    UnsupportedGrantType,
)
from services.auth.http.dependencies import FORM, KeysTokens, Sender, Service, new_router
from services.auth.http.schemas import GrantedTokens, TokenRequest
from services.auth.sessions.families import Kind
from services.common.http.authentication import TOKEN_URL
from services.common.http.problems import BodyTooLarge, ServiceUnavailable, UnsupportedMediaType, documented
from services.common.http.requests import body_schema, content_type, invalid, require_plain

router = new_router("accounts")

# The grants, and what each needs of the form.
_NEEDED: dict[str, tuple[str, ...]] = {
    "password": ("username", "password"),
    "refresh_token": ("refresh_token",),
    "client_credentials": (),
}
_MAX_CREDENTIALS = 1_024


async def _read_grant(request: Request) -> TokenRequest:
    """Raises InvalidTokenRequest, UnsupportedGrantType or InvalidClient."""
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
        raise UnsupportedGrantType(f"There are the grants {', '.join(f'`{name}`' for name in _NEEDED)}.")
    try:
        grant = TokenRequest.model_validate(fields)
    except ValidationError as error:
        problem = invalid(error)
        raise InvalidTokenRequest(problem.detail, errors=problem.errors) from None
    if missing := [f"`{name}`" for name in _NEEDED[grant.grant_type] if name not in fields]:
        raise InvalidTokenRequest(f"The grant `{grant.grant_type}` needs {' and '.join(missing)}.")
    return _with_header(grant, request) if grant.grant_type == "client_credentials" else grant


def _with_header(grant: TokenRequest, request: Request) -> TokenRequest:
    """The request with the credentials that its header has, if there are any (RFC 6749, section 2.3.1).

    Raises InvalidTokenRequest or InvalidClient.
    """
    headers = [value for value in request.headers.getlist("authorization") if value.partition(" ")[0].lower() == "basic"]
    if headers:
        if len(headers) > 1 or grant.client_secret is not None:
            raise InvalidTokenRequest("Send the secret once: in the form, or as HTTP Basic.")
        client_id, secret = _basic(headers[0])
        if grant.client_id not in {None, client_id}:
            raise InvalidTokenRequest("The form names another key than the header.")
        grant = grant.model_copy(update={"client_id": client_id, "client_secret": secret})
    if grant.client_id is None or grant.client_secret is None:
        raise InvalidClient("Send `client_id` and `client_secret`, in the form or as HTTP Basic.")
    return grant


def _basic(header: str) -> tuple[str, str]:
    """The key and the secret, each of which is form-urlencoded inside. Raises InvalidClient."""
    encoded = header.partition(" ")[2].strip()
    try:
        if len(encoded) > _MAX_CREDENTIALS:
            raise InvalidClient("The credentials are too long.")
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise InvalidClient("HTTP Basic has `client_id:client_secret`, in base64.")
    return unquote_plus(client_id), unquote_plus(secret)


@router.post(
    TOKEN_URL.removeprefix(router.prefix),
    summary="OAuth2 token endpoint",
    description='The grant `password` begins a session without a cookie, as `/auth/login` does with `"session": "token"`. '
    "The grant `refresh_token` refreshes it, as `/auth/refresh` does. The grant `client_credentials` is for keys, which "
    "send `client_id` and `client_secret` in the form or as HTTP Basic. A key's token lasts 10 minutes by default and has "
    "no refresh token. Errors carry OAuth's code in `error`.",
    response_model_exclude_none=True,
    responses=documented(
        InvalidTokenRequest,
        UnsupportedGrantType,
        InvalidGrant,
        InvalidScope,
        InvalidClient,
        BodyTooLarge,
        TooManyFailures,
        TooManyWrongSecrets,
        PasswordQueueFull,
        ServiceUnavailable,
    ),
    openapi_extra=body_schema({FORM: TokenRequest}),
)
async def token(
    grant: Annotated[TokenRequest, Depends(_read_grant)],
    service: Service,
    keys: KeysTokens,
    sender: Sender,
    response: Response,
) -> GrantedTokens:
    response.headers["Pragma"] = "no-cache"  # RFC 6749, section 5.1
    try:
        match grant:
            case TokenRequest(grant_type="client_credentials", client_id=str(client_id), client_secret=str(secret)):
                token, lifetime, scopes = await keys.grant(client_id, secret, grant.scope, sender)
                return GrantedTokens(access_token=token, expires_in=int(lifetime.total_seconds()), scope=" ".join(scopes))
            case TokenRequest(grant_type="password", username=str(username), password=str(password)):
                signed_in, _ = await service.login(username, password, sender, Kind.APP)
            case _:
                signed_in = await service.refresh(grant.refresh_token, sender)
    except (InvalidCredentials, InvalidRefreshToken) as error:
        raise InvalidGrant(error.detail) from None
    return GrantedTokens(
        access_token=signed_in.access_token, expires_in=signed_in.expires_in, refresh_token=signed_in.refresh_token
    )
