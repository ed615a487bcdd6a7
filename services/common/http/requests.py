"""Reading request bodies: the content type first, then the bytes, straight into a model."""

import codecs
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import from_json

from services.common.http.problems import (
    MOST_ERRORS,
    FieldError,
    InvalidRequest,
    UnsupportedMediaType,
    field_errors,
    invalid_request,
    pointer,
)

M = TypeVar("M", bound=BaseModel)

JSON = "application/json"
COMPONENT = "#/components/schemas/{model}"
_GZIP = b"\x1f\x8b"
# Bytes. A shorter body has some hundreds of members at most, and costs little whatever they are.
_LONG = 4_096
_DECIMAL = re.compile(r"-?[0-9]{1,20}")
_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})")
# MySQL keeps times of four digits, and so does what is computed from them.
_FIRST_MOMENT, _LAST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)


def content_type(request: Request) -> str:
    """The media type of the body, lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_plain(request: Request) -> None:
    """Refuse a body that is compressed: none is so large that it would have to be. Raises UnsupportedMediaType."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        # RFC 9110, section 15.5.16: the header says what would be accepted.
        raise UnsupportedMediaType(
            "Send the body as it is, without a Content-Encoding.", headers={"Accept-Encoding": "identity"}
        )


def parse_json(model: type[M], body: bytes) -> M:
    """The model that ``body`` holds. Raises InvalidRequest, naming each fault and its place, or UnsupportedMediaType."""
    if len(body) > _LONG and (strangers := _find_strangers(model, body)):
        raise strangers
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if refusal := not_utf8(body):
            raise UnsupportedMediaType(refusal) from None
        if error.error_count() > MOST_ERRORS:
            raise _refuse(model, from_json(body, cache_strings=False), error.error_count()) from None
        raise invalid(error) from None


def validate(model: type[M], document: object) -> M | InvalidRequest:
    """The model that a document is which is decoded already, or what is wrong with it."""
    if isinstance(document, dict) and (strangers := _refuse_strangers(model, document)):
        return strangers
    try:
        return model.model_validate(document)
    except ValidationError as error:
        if error.error_count() > MOST_ERRORS and isinstance(document, dict):
            return _refuse(model, document, error.error_count())
        return invalid(error)


def not_utf8(body: bytes) -> str | None:
    """What to say of a body that is not JSON in UTF-8 (RFC 8259, section 8.1), as its first bytes tell; None if they do not."""
    if body.startswith(_GZIP):
        return "Send the body as it is, not compressed."
    if body.startswith(codecs.BOM_UTF8):
        return "Send the body without a byte order mark."
    # A text begins with ASCII, of which these encodings make two or four bytes.
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in body[:4]:
        return "Send the body in UTF-8."
    return None


def invalid(error: ValidationError) -> InvalidRequest:
    """What a failed validation tells the client."""
    return invalid_request(field_errors(error))


def _find_strangers(model: type[BaseModel], body: bytes) -> InvalidRequest | None:
    """The refusal of a body that has more unknown members than are told. Found before they are errors: of a body of 64 KiB
    making those takes pydantic twice as long as reading it.
    """
    if model.model_config.get("extra") != "forbid":
        return None
    try:
        document = from_json(body, cache_strings=False)
    except ValueError:
        return None  # pydantic says what is wrong
    return _refuse_strangers(model, document) if isinstance(document, dict) else None


def _refuse_strangers(model: type[BaseModel], document: Mapping[str, Any]) -> InvalidRequest | None:
    """The refusal of an object that has more unknown members than are told, None of another."""
    strangers = len(document.keys() - model.model_fields.keys())
    if strangers <= MOST_ERRORS:
        return None
    missing = sum(field.is_required() and name not in document for name, field in model.model_fields.items())
    return _refuse(model, document, strangers + missing)


def _refuse(model: type[BaseModel], document: Iterable[str], faults: int) -> InvalidRequest:
    """What is told of a body with thousands of faults. Its errors are not made: a body of 64 KiB took 0.1 s."""
    unknown = islice((name for name in document if name not in model.model_fields), MOST_ERRORS)
    errors = [FieldError(detail="There is no such member", pointer=pointer([name])) for name in unknown]
    return InvalidRequest(f"The body has {faults:,} faults.", errors=errors)


def json_body(model: type[M]) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads the body as JSON into ``model``. Raises UnsupportedMediaType or InvalidRequest.

    FastAPI's own body parameter answers 422 to a wrong content type and 400 to bytes that are not UTF-8, and decodes
    twice. Document the body with ``openapi_extra=body_schema({JSON: model})``.
    """

    async def read(request: Request) -> M:
        return await read_json(request, model)

    return read


async def read_json(request: Request, model: type[M]) -> M:
    """What the body says. Raises UnsupportedMediaType or InvalidRequest."""
    if content_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as {JSON}.")
    require_plain(request)
    return parse_json(model, await request.body())


def _decimal(value: object) -> object:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise ValueError("Input should be a whole number in decimal digits")
    return value


DECIMAL = BeforeValidator(_decimal)
"""Marks an integer in a path or a query: pydantic alone would read " 1", "+1", "1_0" and "1.0" too. Stands after its bounds."""


def _time(value: object) -> datetime:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("Input should be a time as 2026-12-01T18:00:00Z (RFC 3339)")
    try:
        time = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such time") from None
    if not _FIRST_MOMENT <= time < _LAST_MOMENT:
        raise ValueError(f"A time is in the years {_FIRST_MOMENT.year} to {_LAST_MOMENT.year - 1}")
    return time


Time = Annotated[datetime, BeforeValidator(_time, json_schema_input_type=datetime)]
"""A time with its offset (RFC 3339, section 5.6), in UTC from then on. Pydantic alone would read numbers, and times without
an offset, which are no moment."""


def body_schema(models: Mapping[str, type[BaseModel]], *, required: bool = True) -> dict[str, Any]:
    """The OpenAPI ``requestBody`` of a route that reads one of ``models``, by media type. `web` makes components of them."""
    content = {media_type: {"schema": model.model_json_schema(ref_template=COMPONENT)} for media_type, model in models.items()}
    return {"requestBody": {"required": required, "content": content}}
