"""Cursors of lists: where a page ended, opaque to clients, so that what is in them can change.

A cursor belongs to one list: given to another, of another board perhaps, it is refused as a broken one is.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from services.common.http.problems import FieldError, InvalidRequest

R = TypeVar("R")

MAX_LENGTH = 160
"""Characters of a cursor, at most."""
ID = r"[1-9][0-9]{0,18}"
"""What a page ends with that is in the order of ids."""
_ID = r"[1-9][0-9]{0,19}"
_MAX_ID = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is read page by page: of a ``kind``, and ``of`` what. ``form``: what a page ends with."""

    kind: str
    form: str
    of: tuple[str | int, ...] = ()

    def encode(self, last: str | int) -> str:
        """The cursor of what comes after ``last``."""
        return base64.urlsafe_b64encode(f"{self._name}:{last}".encode()).decode().rstrip("=")

    def decode(self, cursor: str) -> str:
        """What the page before ended with. Raises InvalidRequest if the cursor is not one that we gave for this list."""
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        except (UnicodeError, binascii.Error):
            raise _broken() from None
        name, _, last = text.partition(":")
        if name != self._name or not re.fullmatch(self.form, last):
            raise _broken()
        return last

    def decode_id(self, cursor: str | None) -> int | None:
        """The id that the page before ended with; None for the first page. Raises InvalidRequest, as above."""
        return None if cursor is None else int(self.decode(cursor))

    def cut(self, rows: Sequence[R], limit: int, last: Callable[[R], str | int]) -> tuple[Sequence[R], str | None]:
        """A page, of rows that were read with one more than it has, and the cursor of the next; None if there is none."""
        page = rows[:limit]
        return page, self.encode(last(page[-1])) if len(rows) > limit else None

    @property
    def _name(self) -> str:
        if not self.of:
            return self.kind
        return f"{self.kind}.{blake2b(repr(self.of).encode(), digest_size=6).hexdigest()}"


_SESSIONS = Listing("s1", _ID)


def encode(session_id: int) -> str:
    """The cursor of the sessions before this one."""
    return _SESSIONS.encode(session_id)


def decode(cursor: str) -> int:
    """The session that the page before ended with. Raises InvalidRequest if the cursor is not one that we gave."""
    session_id = int(_SESSIONS.decode(cursor))
    if session_id > _MAX_ID:
        raise _broken()
    return session_id


def _broken() -> InvalidRequest:
    detail = "Not a cursor that this service gave for this list. Start again without one."
    return InvalidRequest(detail, errors=[FieldError(detail=detail, parameter="cursor")])
