"""A cursor goes on with the list that it came from, and with no other."""

import base64

import pytest

from services.common.http.problems import InvalidRequest
from services.leaderboard import cursors
from services.leaderboard.cursors import Listing

NAMES = Listing("b1", "[a-z]+", ("prefix",))


@pytest.mark.parametrize("last", ["a", "z" * 64])
def test_a_cursor_tells_where_its_page_ended(last: str) -> None:
    cursor = NAMES.encode(last)
    assert NAMES.decode(cursor) == last
    assert len(cursor) <= cursors.MAX_LENGTH
    assert cursor.isascii()


@pytest.mark.parametrize(
    "other", [Listing("b1", "[a-z]+"), Listing("b1", "[a-z]+", ("prefix2",)), Listing("p1", "[a-z]+", ("prefix",))]
)
def test_a_cursor_of_another_list_is_refused(other: Listing) -> None:
    with pytest.raises(InvalidRequest):
        NAMES.decode(other.encode("a"))


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "a", "!", "ä", "====", encoded(b"\xff\xff"), encoded(b"b1:a"), NAMES.encode("A"), NAMES.encode("a\n"), "a" * 999],
)
def test_a_broken_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        NAMES.decode(cursor)
    assert [error.parameter for error in refused.value.errors] == ["cursor"]
