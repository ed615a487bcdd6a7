"""Errors as RFC 9457 problem details: one class an error, one place that renders them, one way to document them."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from services.common.mysql.database import reason

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
"""Faults of a request that are named, at most: who sends more is not helped by more."""
# Of a member's name, which is the client's: it may be as long as the body.
_NAME_LENGTH = 64
# Faults that the sentence names; all of them are in the list.
_SENTENCE_ERRORS = 3
# What went wrong is of this moment and may be about a person; some statuses, 404 among them, could be kept otherwise.
UNCACHED = {"Cache-Control": "no-store"}
DATABASE_AWAY = OperationalError, InterfaceError, PoolTimeoutError, TimeoutError

log = structlog.get_logger(__name__)


class FieldError(BaseModel):
    """One thing that is wrong with a request, and where."""

    detail: str
    pointer: str | None = Field(None, description="JSON pointer (RFC 6901) into the body, as a URI fragment")
    parameter: str | None = Field(None, description="name of the path or query parameter")


class ProblemDetails(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="stable identifier of the kind of problem")
    title: str = Field(description="the kind of problem, in words")
    status: int
    detail: str = Field(description="what happened this time, for a person")
    errors: list[FieldError] | None = Field(None, description="each fault of the request, with its place")
    error: str | None = Field(None, description="OAuth2's code (RFC 6749, section 5.2), from its token endpoint")


class Problem(Exception):
    """An answer that is not what was asked for. Subclasses set the status, the type and the title.

    ``extensions``: members beside those of every problem (RFC 9457, section 3.2).
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "urn:problem:internal-error"
    title: ClassVar[str] = "Internal error"
    extensions: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.errors = errors
        self.headers = dict(headers or {})


class MalformedRequest(Problem):
    """Nothing of ours reads such a request: its path, or what it carries beside its body, is no client's of ours."""

    status = 400
    type = "urn:problem:malformed-request"
    title = "The request is malformed"


class InvalidRequest(Problem):
    status = 422
    type = "urn:problem:invalid-request"
    title = "The request is not valid"


class NotFound(Problem):
    status = 404
    type = "urn:problem:not-found"
    title = "There is nothing here"


class Unauthenticated(Problem):
    """No access token, or one that is not accepted. RFC 6750, section 3."""

    status = 401
    type = "urn:problem:unauthenticated"
    title = "A valid access token is needed"

    def __init__(self, detail: str | None = None, *, challenge: str = "Bearer") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


def invalid_token(detail: str) -> Unauthenticated:
    """What an access token that is not accepted is refused with."""
    return Unauthenticated(detail, challenge='Bearer error="invalid_token"')


RECENT_SECONDS = 300
"""How long after a password what is grave may be asked for without giving it again."""


class PasswordTooOld(Problem):
    """What is asked for wants a password that was given lately. RFC 9470, section 3."""

    status = 401
    type = "urn:problem:insufficient-user-authentication"
    title = "The password was given too long ago"

    def __init__(self, detail: str | None = None) -> None:
        challenge = f'Bearer error="insufficient_user_authentication", max_age={RECENT_SECONDS}'
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class NotForKeys(Problem):
    """The access token is a key's, and what is asked for is a player's own affair."""

    status = 403
    type = "urn:problem:not-for-keys"
    title = "This is for players, not for keys"


class InsufficientScope(Problem):
    """The access token is good, but not for this. RFC 6750, section 3.1."""

    status = 403
    type = "urn:problem:insufficient-scope"
    title = "The access token lacks a scope"

    def __init__(self, detail: str | None = None, *, scope: str = "") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'})


SIGNED_IN: tuple[type[Problem], ...] = (Unauthenticated, NotForKeys)
"""What a route may answer that is for players."""
SCOPED: tuple[type[Problem], ...] = (Unauthenticated, InsufficientScope)
"""What a route may answer that wants a scope."""


class UnsupportedMediaType(Problem):
    status = 415
    type = "urn:problem:unsupported-media-type"
    title = "The body's content type is not supported"


class BodyTooLarge(Problem):
    status = 413
    type = "urn:problem:body-too-large"
    title = "The body is too large"


class BodyTooSlow(Problem):
    status = 408
    type = "urn:problem:body-too-slow"
    title = "The body did not arrive in time"


class ServiceUnavailable(Problem):
    """Nothing is wrong with the request: it can be sent again after ``Retry-After`` seconds."""

    status = 503
    type = "urn:problem:service-unavailable"
    title = "The service is not available right now"

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


def documented(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """What a route passes as ``responses=`` to document the problems it answers with."""
    by_status: dict[int | str, list[type[Problem]]] = {}
    for problem in problems:
        by_status.setdefault(problem.status, []).append(problem)
    return {
        status: {
            "description": "; ".join(f"{problem.title} (`{problem.type}`)" for problem in group),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                    "examples": {problem.type.rpartition(":")[2]: {"value": _example(problem)} for problem in group},
                }
            },
            **({"headers": {"WWW-Authenticate": {"schema": {"type": "string"}}}} if _challenges(status, group) else {}),
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status in {429, 503} else {}),
        }
        for status, group in by_status.items()
    }


def _challenges(status: int | str, group: Sequence[type[Problem]]) -> bool:
    return status == 401 or InsufficientScope in group


def _example(problem: type[Problem]) -> dict[str, Any]:
    members = {"type": problem.type, "title": problem.title, "status": problem.status, "detail": f"{problem.title}."}
    return {**members, **problem.extensions}


def field_errors(error: ValidationError | RequestValidationError) -> list[FieldError]:
    """What a validation found, without the input: that may hold what JSON cannot (NaN, lone surrogates), or a secret.

    Of a body with more than MOST_ERRORS faults use `invalid_body`: pydantic builds all of them at once.
    """
    found = []
    for each in error.errors()[:MOST_ERRORS]:
        place = tuple(each["loc"])
        if place and place[0] in {"path", "query", "header", "cookie"}:
            found.append(FieldError(detail=each["msg"], parameter=str(place[-1])))
        else:
            path = [str(part) for part in (place[1:] if place[:1] == ("body",) else place)]
            if each["type"] == "json_invalid":
                path = []
            if path[-1:] == ["[key]"]:  # of a member whose name it is that is wrong
                path.pop()
            found.append(FieldError(detail=each["msg"], pointer=pointer(path)))
    return found


def pointer(path: Sequence[str]) -> str:
    """A JSON pointer as a URI fragment (RFC 6901). Names that are long, or hold what nobody can read, are cut."""
    return "#" + "".join("/" + _short(part).replace("~", "~0").replace("/", "~1") for part in path)


def _short(name: str) -> str:
    if len(name) > _NAME_LENGTH:
        name = f"{name[:_NAME_LENGTH]}…"
    return "".join(letter if letter.isprintable() else "�" for letter in name)


def invalid_request(errors: Sequence[FieldError]) -> InvalidRequest:
    """The refusal that names these faults."""
    told = "; ".join(f"{each.parameter or each.pointer}: {each.detail}" for each in errors[:_SENTENCE_ERRORS])
    more = len(errors) - _SENTENCE_ERRORS
    return InvalidRequest(f"{told}; and {more} more" if more > 0 else told, errors=errors)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def content(problem: Problem) -> dict[str, Any]:
    """The members that tell ``problem``."""
    members: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": _printable(problem.detail),
        **problem.extensions,
    }
    if problem.errors:
        members["errors"] = [
            {name: _printable(value) for name, value in each.model_dump(exclude_none=True).items()} for each in problem.errors
        ]
    return members


def render(problem: Problem) -> JSONResponse:
    """The response that tells ``problem``."""
    return JSONResponse(content(problem), problem.status, UNCACHED | problem.headers, media_type=MEDIA_TYPE)


def find_problem(error: BaseException) -> Problem | None:
    """What is told of an error that a request may meet; None for a defect of ours, which must be raised on, or logged."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DATABASE_AWAY):
        log.warning("database unavailable", error=reason(error))
        return ServiceUnavailable("The database did not answer. Try again in a moment.")
    return None


def response_to(error: Exception) -> JSONResponse | None:
    """The answer to an error that a request may meet; None for a defect of ours."""
    problem = find_problem(error)
    return None if problem is None else render(problem)


async def _on_expected(_: Request, error: Exception) -> JSONResponse:
    response = response_to(error)
    assert response is not None
    return response


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return render(invalid_request(field_errors(error)))


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    """What the framework raises: no such route, wrong method, a body over the limit."""
    assert isinstance(error, HTTPException)
    if error.status_code == BodyTooLarge.status:
        return render(BodyTooLarge())
    if error.status_code == NotFound.status:
        return render(NotFound())
    # RFC 9457, section 4.2.1: a status that needs no explanation.
    phrase = HTTPStatus(error.status_code).phrase
    members = {"type": "about:blank", "title": phrase, "status": error.status_code, "detail": f"{phrase}."}
    headers = dict(error.headers or {})
    if "GET" in (allowed := headers.get("Allow", "").split(", ")):
        headers["Allow"] = ", ".join([*allowed, "HEAD"])  # the framework does not know of heads.py
    return JSONResponse(members, error.status_code, UNCACHED | headers, media_type=MEDIA_TYPE)


async def _on_disconnect(_: Request, _error: Exception) -> Response:
    """The client left in the middle of its request: nobody reads the answer."""
    return Response(status_code=400)


def failure() -> Problem:
    """What is told of a defect of ours, which is to be logged with its traceback."""
    return Problem("Something went wrong on our side. It has been logged.")


def render_failure() -> JSONResponse:
    """The response to a defect of ours, which is to be raised on, so that the server logs the traceback."""
    return render(failure())


async def _on_failure(_: Request, _error: Exception) -> JSONResponse:
    """Starlette raises the error again after this answer."""
    return render_failure()


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error as a problem."""
    app.add_exception_handler(Problem, _on_expected)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _on_expected)
    app.add_exception_handler(Exception, _on_failure)
