"""Reading a long list of objects, item by item: one that is not valid is told by itself, and nobody waits for all of them.

A body of 4 MiB takes pydantic 0.1 s, and a hostile one several times as long, in which the process would serve nobody else. So
each item is decoded by itself, a few in each turn of the loop, and what is longer than an item may be is never decoded.
"""

import json
import re
from collections.abc import Generator, Iterator
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel

from services.common.http.problems import FieldError, InvalidRequest, UnsupportedMediaType
from services.common.http.requests import JSON, content_type, not_utf8, require_plain, validate
from services.common.turns import Turns

M = TypeVar("M", bound=BaseModel)

MAX_ITEM_LENGTH: Final = 16_384
"""Characters of an item as it is sent."""
# Python refuses to read one of more than 4,300, and no integer of ours has so many.
_MOST_DIGITS = 400
# What is passed over in one step: brackets and strings, and characters between them or in a string.
_PASSED, _REACH = 1_000, 65_536

_BLANKS = re.compile(r"[ \t\n\r]*")
_BRACKET = re.compile(r'[][{}"]')
_IN_STRING = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
_SCALAR = re.compile(r"[^],} \t\n\r]*")


class _Refused:
    """Stands for an item that is not decoded."""

    def __init__(self, detail: str) -> None:
        self.detail = detail


_TOO_LONG = _Refused(f"An item has at most {MAX_ITEM_LENGTH:,} characters")
_TOO_DEEP = _Refused("It is nested too deep")


async def read_list(request: Request, member: str, model: type[M], most: int, turns: Turns) -> list[M | InvalidRequest]:
    """What the body lists, which is an object with the one member ``member``: each item, or what is wrong with it.

    Raises UnsupportedMediaType, and InvalidRequest when the body is no such object, or does not list 1 to ``most`` items.
    """
    if content_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as {JSON}.")
    require_plain(request)
    body = await request.body()
    if refusal := not_utf8(body):
        raise UnsupportedMediaType(refusal)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise _malformed("It is not UTF-8") from None
    items = await turns.run(_read(text, member, model, most))
    return [item for item in items if item is not None]


def _read(text: str, member: str, model: type[M], most: int) -> Iterator[M | InvalidRequest | None]:
    count = 0
    for item in _split(text, member):
        if item is _STILL:
            yield None
            continue
        count += 1
        if count > most:
            raise _wrong(f"It lists {most:,} items at most", member)
        yield _validated(model, item)
    if not count:
        raise _wrong(f"It lists 1 to {most:,} items", member)


def _validated(model: type[M], item: object) -> M | InvalidRequest:
    if isinstance(item, _Refused):
        return InvalidRequest(f"{item.detail}.", errors=[FieldError(detail=item.detail, pointer="#")])
    return validate(model, item)


# While an item is passed over: it is not known yet where it ends.
_STILL: Final = object()


def _split(text: str, member: str) -> Generator[object, None, None]:
    """The items of the list, one after the other, `_Refused` in place of those that are not decoded, and `_STILL`.

    Raises InvalidRequest when the text is not JSON, or no object with this list alone.
    """
    place = 0
    for part in ("{", f'"{member}"', ":", "["):
        place = yield from _pass(_BLANKS, text, place)
        if not text.startswith(part, place):
            raise _malformed(f"It should be an object with one member, {member}, which is a list")
        place += len(part)
    place = yield from _pass(_BLANKS, text, place)
    while not text.startswith("]", place):
        item, end = yield from _next(text, place)
        yield item
        place = yield from _pass(_BLANKS, text, end)
        if text.startswith(",", place):
            place = yield from _pass(_BLANKS, text, place + 1)
            if text.startswith("]", place):
                raise _not_json(place)
        elif not text.startswith("]", place):
            raise _not_json(place)
    place = yield from _pass(_BLANKS, text, place + 1)
    if text.startswith(",", place):
        raise _malformed(f"It should have no member but {member}")
    if not text.startswith("}", place) or (yield from _pass(_BLANKS, text, place + 1)) < len(text):
        raise _not_json(place)


def _next(text: str, place: int) -> Generator[object, None, tuple[object, int]]:
    """The item at a place, and where it ends."""
    piece = text[place : place + MAX_ITEM_LENGTH + 1]
    refused = None
    try:
        item, length = _decoder.raw_decode(piece)
    except RecursionError:
        refused = _TOO_DEEP
    except ValueError:
        pass
    else:
        if length <= MAX_ITEM_LENGTH:
            return item, place + length
    end = yield from _pass_over(text, place)
    if end is None or (refused is None and end - place <= MAX_ITEM_LENGTH):
        raise _not_json(place)
    return refused or _TOO_LONG, end


def _pass_over(text: str, place: int) -> Generator[object, None, int | None]:
    """Where the value at a place ends, by its brackets and strings alone. None if it does not."""
    if text[place : place + 1] not in {"{", "[", '"'}:
        return (yield from _pass(_SCALAR, text, place))
    depth = passed = 0
    while place < len(text):
        passed += 1
        if not passed % _PASSED:
            yield _STILL
        found = _BRACKET.search(text, place, place + _REACH)
        if found is None:
            place += _REACH
            yield _STILL
            continue
        place = found.end()
        match found.group():
            case '"':
                place = (yield from _pass(_IN_STRING, text, place)) + 1
            case "{" | "[":
                depth += 1
            case _:
                depth -= 1
        if depth <= 0:
            return place if place <= len(text) else None
    return None


def _pass(pattern: re.Pattern[str], text: str, place: int) -> Generator[object, None, int]:
    """Where what fits the pattern ends."""
    while True:
        found = pattern.match(text, place, place + _REACH)
        assert found is not None  # it matches nothing too
        if found.end() < place + _REACH - 1:
            return found.end()
        place = found.end()  # or one before, where an escape would be cut
        yield _STILL


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float("inf")


_decoder = json.JSONDecoder(parse_int=_integer)


def _not_json(place: int) -> InvalidRequest:
    return _malformed(f"Invalid JSON at character {place + 1:,}, or in the value that begins there")


def _malformed(detail: str) -> InvalidRequest:
    return _wrong(detail)


def _wrong(detail: str, *path: str) -> InvalidRequest:
    pointer = "".join(["#", *(f"/{name}" for name in path)])
    return InvalidRequest(f"{pointer}: {detail}", errors=[FieldError(detail=detail, pointer=pointer)])
