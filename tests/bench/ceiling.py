"""What the framework itself could do at most: a bare FastAPI application, served as our services are.

``/bytes`` answers with a ready page of ten. ``/checked`` reads a body through Pydantic and checks an access token with PyJWT,
FastAPI's usual way, and does nothing with them. Neither has a middleware, a metric or a log line: what a service adds
to be operated counts as its own cost.
"""

from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

from services.common.http.server import serve
from services.common.settings import ServiceSettings, load_settings
from services.common.tokens import ALGORITHM, KeyRing
from tests.bench.answers import DONE, PAGE

_bearer = OAuth2PasswordBearer(tokenUrl="/auth/login")


class Submission(BaseModel):
    """The body of a submission, as one would write it first."""

    score: int


def create_app() -> FastAPI:
    """The application, told of keys, issuer and audience as the services are."""
    settings = load_settings(ServiceSettings)
    keys = KeyRing.parse(settings.jwt_keys.get_secret_value())
    key, issuer, audience = keys.keys[keys.signing_kid], settings.jwt_issuer, settings.jwt_audience
    app = FastAPI(openapi_url=None)

    async def caller(token: Annotated[str, Depends(_bearer)]) -> str:
        try:
            claims = jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, issuer=issuer)
        except jwt.PyJWTError:
            raise HTTPException(401) from None
        subject: str = claims["sub"]
        return subject

    @app.get("/bytes")
    async def ready_bytes() -> Response:
        return Response(PAGE, media_type="application/json")

    @app.post("/checked")
    async def checked(submission: Submission, user_id: Annotated[str, Depends(caller)]) -> Response:
        return Response(DONE, 201, media_type="application/json")

    return app


if __name__ == "__main__":
    serve("tests.bench.ceiling:create_app", load_settings(ServiceSettings))
