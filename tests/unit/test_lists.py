"""A list in a body is read item by item as a whole reader would read it, and what is wrong with one is told of that one."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from services.common.http.lists import MAX_ITEM_LENGTH, read_list
from services.common.http.problems import InvalidRequest, UnsupportedMediaType
from services.common.turns import Turns

MOST = 50


class Item(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    value: Any


async def read(body: bytes, media_type: str = "application/json") -> list[Item | InvalidRequest]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "headers": [(b"content-type", media_type.encode())]}
    return await read_list(Request(scope, receive), "items", Item, MOST, Turns())


def values(items: list[Item | InvalidRequest]) -> list[Any]:
    return [item.value if isinstance(item, Item) else InvalidRequest for item in items]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(json_values, min_size=1, max_size=10), st.sampled_from([None, 0, 2]), st.booleans())
def test_what_was_written_is_read(said: list[Any], indent: int | None, escaped: bool) -> None:
    body = json.dumps({"items": [{"value": value} for value in said]}, indent=indent, ensure_ascii=escaped)
    assert values(asyncio.run(read(body.encode("utf-8", "surrogatepass")))) == said


@given(st.lists(json_values, min_size=1, max_size=5), json_values)
def test_what_is_too_long_is_passed_over_to_where_it_ends(said: list[Any], padding: Any) -> None:
    long = {"value": [padding, "\\\"'[{" * MAX_ITEM_LENGTH, padding]}
    items: list[Any] = [{"value": value} for value in said]
    body = json.dumps({"items": [long, *items, long, items[0], long]})
    expected = [InvalidRequest, *said, InvalidRequest, said[0], InvalidRequest]
    assert values(asyncio.run(read(body.encode()))) == expected


@pytest.mark.parametrize("length", range(MAX_ITEM_LENGTH - 2, MAX_ITEM_LENGTH + 3))
@pytest.mark.parametrize("form", ['{{"value":"{}"}}', '{{"value":[{}]}}', "{}"])
async def test_an_item_has_so_many_characters_at_most(form: str, length: int) -> None:
    item = form.format("7" * (length - len(form.format(""))))
    assert len(item) == length
    [first, second] = await read(f'{{"items":[{item},{{"value":1}}]}}'.encode())
    assert isinstance(second, Item)
    assert isinstance(first, Item) == (length <= MAX_ITEM_LENGTH and form != "{}")
    if length > MAX_ITEM_LENGTH:
        assert isinstance(first, InvalidRequest)
        assert "characters" in first.detail


@given(st.binary(max_size=30) | st.text(alphabet='{}[]",:items\\ 1\n', max_size=30).map(str.encode))
def test_what_is_no_list_is_refused(garbage: bytes) -> None:
    for body in (garbage, b'{"items":[' + garbage, b'{"items":[{"value":1}' + garbage, b'{"items":[{"value":1}]}' + garbage):
        try:
            json.loads(body)
        except ValueError:
            with pytest.raises((InvalidRequest, UnsupportedMediaType)):
                asyncio.run(read(body))


async def test_it_is_sent_as_json_and_as_it_is() -> None:
    body = b'{"items":[{"value":1}]}'
    assert values(await read(body)) == [1]
    with pytest.raises(UnsupportedMediaType):
        await read(body, "text/plain")
    for other in (b"\xef\xbb\xbf" + body, body.decode().encode("utf-16"), b"\x1f\x8b" + body):
        with pytest.raises(UnsupportedMediaType):
            await read(other)


async def test_as_many_items_are_read_as_may_be() -> None:
    def listing(count: int) -> bytes:
        return json.dumps({"items": [{"value": number} for number in range(count)]}).encode()

    assert values(await read(listing(MOST))) == list(range(MOST))
    for count in (0, MOST + 1):
        with pytest.raises(InvalidRequest):
            await read(listing(count))
