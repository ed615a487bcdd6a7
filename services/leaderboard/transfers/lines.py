"""Lines of a file that is imported: NDJSON, an object a line, or CSV, a session a line."""

import csv
import re
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from services.common.http.problems import InvalidRequest, UnsupportedMediaType
from services.common.http.requests import Time, invalid, parse_json
from services.leaderboard.log import submission_keys
from services.leaderboard.log.document import SessionDocument, WhoseId
from services.leaderboard.transfers.formats import Format

MOST_BYTES = 65_536
"""Bytes of a line: one that is longer is refused, and never held whole."""
_BOM = b"\xef\xbb\xbf"
_KEY = r"^[!-~]{1,64}$"
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_COLUMNS = ("player", "score", "time")
"""Those of a CSV whose first line does not name others."""
_KNOWN = frozenset({*_COLUMNS, "user_id", "key"})


def _readable(submission: str) -> str:
    try:
        submission_keys.read(submission)
    except ValueError:
        raise PydanticCustomError("not_a_submission", "It is not as an export has it") from None
    return submission


class ImportedSession(SessionDocument):
    """A line: a session, whose it is, and when it was played. What an export has besides is read over, but for `username`."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"player": "Ada", "score": 1200, "key": "old-41", "played_at": "2024-02-03T12:00:00Z"}]}
    )

    user_id: WhoseId | None = Field(None, description="whose session it is, by number", examples=[7])
    player: str | None = Field(None, min_length=1, max_length=64, description="or by the name of the account, in whatever case")
    username: str | None = Field(
        None,
        description="beside `user_id`: what that account must be called, so that a number of another system is nobody here",
    )
    key: str | None = Field(
        None, pattern=_KEY, description="what the session is called by: with the same one it is the same session, once"
    )
    submission: Annotated[str, AfterValidator(_readable)] | None = Field(
        None, max_length=162, description="the same, in an export: with it the session that was exported is found again"
    )
    state: Literal["counted", "voided", "held"] = Field(
        "counted", description="in an export: what does not count there is not imported"
    )
    session_id: int | None = None
    submitted_at: Time | None = None

    @model_validator(mode="after")
    def _is_somebodys(self) -> "ImportedSession":
        if (self.user_id is None) == (self.player is None):
            raise PydanticCustomError("whose", "A line says `user_id` or `player`, and one of them")
        if self.key is not None and self.submission is not None:
            raise PydanticCustomError("keys", "A line has `key` or `submission`, not both")
        return self


class Line(NamedTuple):
    """A line of a file, from 1 on: the session that it says, or why it says none."""

    number: int
    session: ImportedSession | None
    fault: str = ""


async def split(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes | None, None]:
    """The lines of a file that comes in pieces, without their ends. None: one that is longer than `MOST_BYTES`."""
    rest = b""
    is_long = False
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield None if is_long or len(line) > MOST_BYTES else line
            is_long = False
        if len(rest) > MOST_BYTES:
            rest, is_long = b"", True
    if rest or is_long:
        yield None if is_long else rest


class Reader:
    """Reads the lines of one file, in their order. Lines without anything are none."""

    def __init__(self, form: Format) -> None:
        self._read = self._csv if form is Format.CSV else self._ndjson
        self._columns: Sequence[str] | None = None
        self._number = 0

    def read(self, line: bytes | None) -> Line | None:
        """What the next line says; None for one that says nothing: it is blank, or names columns.

        Raises InvalidRequest when the file is not one that can be read at all.
        """
        self._number += 1
        if line is None:
            return Line(self._number, None, f"The line has more than {MOST_BYTES:,} bytes.")
        if self._number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            return None
        try:
            session = self._read(line)
        except ValidationError as error:
            return Line(self._number, None, invalid(error).detail)
        except (_Refused, UnsupportedMediaType) as error:
            return Line(self._number, None, str(error))
        return None if session is None else Line(self._number, session)

    @staticmethod
    def _ndjson(line: bytes) -> ImportedSession | None:
        try:
            return parse_json(ImportedSession, line)
        except InvalidRequest as error:
            raise _Refused(error.detail) from None

    def _csv(self, line: bytes) -> ImportedSession | None:
        cells = _cells(line)
        if self._columns is None:
            names = [cell.strip().lower() for cell in cells]
            self._columns = names if "score" in names else _COLUMNS
            if not _KNOWN.issuperset(self._columns) or len(set(self._columns)) < len(self._columns):
                raise InvalidRequest(f"The columns of a CSV are some of {', '.join(sorted(_KNOWN))}, each once.")
            if self._columns is names:
                return None
        if len(cells) > len(self._columns):
            raise _Refused(f"The line has {len(cells)} cells, and there are {len(self._columns)} columns.")
        said = {name: cell.strip() for name, cell in zip(self._columns, cells, strict=False) if cell.strip()}
        values: dict[str, Any] = {**said}
        for name in ("score", "user_id"):
            if name in said:
                if not _INTEGER.fullmatch(said[name]):
                    raise _Refused(f"#/{name}: It is not a whole number.")
                values[name] = int(said[name])
        if "time" in values:
            values["played_at"] = values.pop("time")
        return ImportedSession.model_validate(values)


class _Refused(Exception):
    """Why a line says no session."""


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode().rstrip("\r")], strict=True))
    except UnicodeDecodeError:
        raise _Refused("The line is not UTF-8.") from None
    except csv.Error as error:
        raise _Refused(f"The line is not CSV: {error}.") from None


def has_json(first: bytes) -> bool:
    """Whether a file that begins so has NDJSON."""
    return first.removeprefix(_BOM).lstrip()[:1] == b"{"
