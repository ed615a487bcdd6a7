"""What the auth service's routes are handed."""

from typing import Annotated

from fastapi import Cookie, Depends, Request
from pydantic import ValidationError

from services.auth.clients import Client
from services.auth.schemas import Credentials, NewAccount, PasswordForm
from services.auth.service import AuthService
from services.common.authentication import authenticated
from services.common.problems import UnsupportedMediaType
from services.common.requests import JSON, content_type, invalid, json_body, parse_json
from services.common.tokens import Principal

FORM = "application/x-www-form-urlencoded"
REFRESH_COOKIE = "refresh_token"


# Async, like all of these: FastAPI runs what is not in a thread, which costs more than most requests.
async def _service(request: Request) -> AuthService:
    service: AuthService = request.app.state.service
    return service


async def _client(request: Request) -> Client:
    # uvicorn has put the address there that the gateway tells, if it is the gateway that connects.
    return Client.of(request.client.host if request.client else None, request.headers.get("user-agent", ""))


async def _read_login(request: Request) -> Credentials:
    """JSON, or the OAuth2 password form. Raises UnsupportedMediaType or InvalidRequest."""
    match content_type(request):
        case media_type if media_type == JSON:
            return parse_json(Credentials, await request.body())
        case media_type if media_type == FORM:
            async with request.form(max_fields=16, max_files=0) as form:
                try:
                    sent = PasswordForm.model_validate({name: value for name, value in form.items() if value})
                except ValidationError as error:
                    raise invalid(error) from None
            return Credentials(username=sent.username, password=sent.password)
        case _:
            raise UnsupportedMediaType(f"Send the body as {JSON} or {FORM}.")


Service = Annotated[AuthService, Depends(_service)]
Caller = Annotated[Principal, Depends(authenticated)]
Sender = Annotated[Client, Depends(_client)]
Registration = Annotated[NewAccount, Depends(json_body(NewAccount))]
Login = Annotated[Credentials, Depends(_read_login)]
RefreshToken = Annotated[
    str | None, Cookie(alias=REFRESH_COOKIE, max_length=256, description="set by login and refresh, HttpOnly")
]
