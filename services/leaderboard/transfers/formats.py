"""How rows are written down: as NDJSON, an object a line, or as CSV (RFC 4180), whose first line names the columns.

No cell of a CSV begins a formula of a spreadsheet: usernames have no `=`, `+` and `@`, nor what a formula is made of; of the
other texts a key begins with a letter, and the rest is JSON.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from io import StringIO
from json.encoder import encode_basestring

from services.common.times import write_time


class Format(StrEnum):
    """What rows are written as."""

    NDJSON = "ndjson"
    CSV = "csv"


MEDIA_TYPES = {Format.NDJSON: "application/x-ndjson", Format.CSV: "text/csv"}


class JSONText(str):
    """A value that is JSON already."""

    __slots__ = ()


class Writer:
    """Writes rows, each of so many values as there are ``columns``."""

    def __init__(self, form: Format, columns: Sequence[str]) -> None:
        self._form = form
        self._columns = columns
        self._names = [f"{encode_basestring(name)}:" for name in columns]

    def head(self) -> bytes:
        """What comes before the rows: nothing, perhaps."""
        return self._csv([self._columns]) if self._form is Format.CSV else b""

    def rows(self, rows: Iterable[Sequence[object]]) -> bytes:
        """Rows, written down."""
        return self._csv([map(_cell, row) for row in rows]) if self._form is Format.CSV else self._ndjson(rows)

    def _ndjson(self, rows: Iterable[Sequence[object]]) -> bytes:
        names = self._names
        lines = [",".join([name + _json(value) for name, value in zip(names, row, strict=True)]) for row in rows]
        return "".join([f"{{{line}}}\n" for line in lines]).encode()

    @staticmethod
    def _csv(rows: Iterable[Iterable[object]]) -> bytes:
        text = StringIO()
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()


def _json(value: object) -> str:
    if isinstance(value, JSONText):
        return value
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f'"{write_time(value)}"'
    return str(value) if type(value) is int else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return write_time(value)
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value  # None is an empty cell
