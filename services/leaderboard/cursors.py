"""Cursors of lists: where a page ended, opaque to clients, so that what is in them can change."""

import base64
import binascii
import re

from services.common.http.problems import FieldError, InvalidRequest

# What it is a cursor of, for one day there may be others.
_KIND = b"s1:"
_TEXT = re.compile(rb"[1-9][0-9]{0,19}")
_MAX_ID = 2**64 - 1


def encode(session_id: int) -> str:
    """The cursor of what comes after this session."""
    return base64.urlsafe_b64encode(_KIND + str(session_id).encode()).decode().rstrip("=")


def decode(cursor: str) -> int:
    """The session that the page before ended with. Raises InvalidRequest if the cursor is not one that we gave."""
    try:
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _broken() from None
    session_id = text.removeprefix(_KIND)
    if not text.startswith(_KIND) or not _TEXT.fullmatch(session_id) or int(session_id) > _MAX_ID:
        raise _broken()
    return int(session_id)


def _broken() -> InvalidRequest:
    detail = "Not a cursor that this service gave. Start again without one."
    return InvalidRequest(detail, errors=[FieldError(detail=detail, parameter="cursor")])
