"""A file comes in pieces and is read line by line, however it is cut; and what an export calls a session by is read again."""

import os
from collections.abc import AsyncIterator

import pytest

from services.leaderboard.log import submission_keys
from services.leaderboard.transfers import lines
from services.leaderboard.transfers.formats import Format, JSONText, Writer
from services.leaderboard.transfers.lines import MOST_BYTES, split


async def pieces(file: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(file), size):
        yield file[start : start + size]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\nbc\n", [b"a", b"bc"]),
        (b"\n\na\r\n\n", [b"", b"", b"a\r", b""]),
    ],
)
async def test_lines_are_the_same_however_the_file_is_cut(size: int, file: bytes, expected: list[bytes]) -> None:
    assert [line async for line in split(pieces(file, size))] == expected


@pytest.mark.parametrize("size", [1000, MOST_BYTES, 10 * MOST_BYTES])
async def test_a_line_that_is_too_long_is_one_line_and_is_never_held_whole(size: int) -> None:
    longest, longer = b"x" * MOST_BYTES, b"x" * (5 * MOST_BYTES)
    file = b"a\n" + longer + b"\nb\n" + longest + b"\n" + longest + b"x\n" + longer
    found = [line async for line in split(pieces(file, size))]
    assert found == [b"a", None, b"b", longest, None, None]


@pytest.mark.parametrize(
    "key",
    [
        submission_keys.make(),
        submission_keys.of_client('"k\\'),
        submission_keys.of_game_server("k"),
        submission_keys.of_import("~" * 64),
        submission_keys.of_line(os.urandom(16), 3),
        b"s:\x00\xff",
        b"s:\n",
        b"old",
        b"x:41",
        b"",
        bytes(80),
    ],
    ids=range(11),  # some keys are others each time, and every worker must call the tests alike
)
def test_what_an_export_calls_a_session_by_is_read_as_it_was(key: bytes) -> None:
    written = submission_keys.write(key)
    assert written.isascii()
    assert submission_keys.read(written) == key
    assert len(written) <= 162


@pytest.mark.parametrize("text", ["", "k", "s:k", "c:", "c:a b", "c:é", "x:0", "x:zz", "x:" + "00" * 81, "c:" + "k" * 79])
def test_what_no_export_has_is_no_submission(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        submission_keys.read(text)


def test_rows_are_written_as_json_and_as_csv() -> None:
    rows = [(1, None, 'é"\n,', ["a"], JSONText('{"k": 1}')), (2, "=1+1", "", None, None)]
    ndjson, csv = (Writer(form, ("id", "a", "b", "c", "d")) for form in (Format.NDJSON, Format.CSV))
    assert (ndjson.head() + ndjson.rows(rows)).decode() == (
        '{"id":1,"a":null,"b":"é\\"\\n,","c":["a"],"d":{"k": 1}}\n{"id":2,"a":"=1+1","b":"","c":null,"d":null}\n'
    )
    assert (csv.head() + csv.rows(rows)).decode() == ('id,a,b,c,d\r\n1,,"é""\n,","[""a""]","{""k"": 1}"\r\n2,=1+1,,,\r\n')


def test_json_is_told_from_csv_by_how_a_file_begins() -> None:
    assert [lines.has_json(first) for first in (b'{"a"', b'\xef\xbb\xbf \n{"a"', b"player,score", b"", b'"a",5')] == [
        True,
        True,
        False,
        False,
        False,
    ]
