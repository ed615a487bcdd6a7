"""The ranking index: every standing of a place in Redis, so that pages, ranks and neighbours need no MySQL.

Keys, all of a place (a board and a period) under one hash tag, so that Redis Cluster keeps them together (one primary is
assumed for a tag: a script sees all of them, or none):

- ``lb:{board:period}:players``: HASH, user → ``version key username`` (removed: ``version``), and fields that begin with #.
- ``lb:{board:period}:order``: ZSET, member = ``key``, user, a blank and ``username``, score = the **sort**: what is ordered
  by, the least first, whichever way it goes (rules/direction.py).
- ``lb:{board:period}:top:<limit>:<offset>``: STRING, the generation and a rendered page (see pages.py).

A **key** is ``reached_session_id`` written so that it sorts by its bytes as the number does, in few of them: how many digits
follow, then digits of base 64. Among equal scores ZRANGE sorts members by their bytes, so its order is the board's,
`sort ASC, reached_session_id ASC`. A sort is a double there, exact below 2^53. The name is in both keys: a page or a
player's neighbours are one ZRANGE then, without a look-up of each that at a million players misses every cache there is.

The index is read only while it is complete: see lua/prelude.lua. What is older than what it has, it refuses, by version.

It expires a day after the place's period has closed, or was read for the last time: nobody has to do anything when one ends.
Redis evicts only what expires (`volatile-lru`), so it makes room out of pages and of periods, never out of what has no end.
"""

import base64
from collections.abc import Sequence

from services.leaderboard.rules.direction import Direction
from services.leaderboard.rules.places import Place, Ranked
from services.leaderboard.rules.standings import Neighbours, PlayerScore, Span

# The alphabet of base64 in the order of its digits' values, and one whose bytes are in that order.
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_IN_ORDER = bytes(sorted(b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
_SORTED, _UNSORTED = bytes.maketrans(_DIGITS, _IN_ORDER), bytes.maketrans(_IN_ORDER, _DIGITS)


DAY_MS = 86_400_000


def keys(at: Place) -> list[str]:
    """Where the index of a place is: its hash and its sorted set."""
    return [f"{prefix(at)}:players", f"{prefix(at)}:order"]


def expiry(place: Ranked, now_ms: int) -> str:
    """When the index of a place expires that is written or read now, in milliseconds since 1970; '' if it never does."""
    return "" if place.closes_at_ms is None else str(max(place.closes_at_ms, now_ms) + DAY_MS)


def sort_key(reached_session_id: int) -> str:
    """A number of up to 64 bits as ASCII that sorts as it does: the number of digits, then the digits."""
    digits = base64.b64encode(reached_session_id.to_bytes(9)).translate(_SORTED).lstrip(b"-").decode()
    return chr(ord("0") + len(digits)) + digits


def prefix(at: Place) -> str:
    return f"lb:{{{at.board_id}:{at.period_id}}}"


def page_key(at: Place, style: str, span: Span) -> str:
    after = f":{span.after.sort}:{sort_key(span.after.reached_session_id)}" if span.after else ""
    return f"{prefix(at)}:{style}:{span.limit}:{span.offset}{after}"


def parse_sort(kept: str | bytes) -> int:
    """What the sorted set orders by, which it keeps as a double."""
    try:
        return int(kept)
    except ValueError:  # a server may write an exponent; a double all the same, and exact
        return int(float(kept))


def parse_member(member: str) -> tuple[int, str]:
    """The player and the name in a member of the sorted set. A key's first character says how many follow it, "0" none."""
    user, username = member[ord(member[0]) - 47 :].split(" ", 1)
    return int(user), username


def player(user_id: int, sort: bytes, username: bytes, direction: Direction) -> PlayerScore:
    return PlayerScore(user_id, username.decode(), direction.score(parse_sort(sort)))


def parse_key(member: str) -> int:
    """The session in a member of the sorted set: what `sort_key` was given."""
    digits = member[1 : ord(member[0]) - 47].encode().translate(_UNSORTED)
    return int.from_bytes(base64.b64decode(digits.rjust(12, b"A")))


def neighbours(offset: int, rows: bytes, direction: Direction) -> Neighbours:
    ahead, _, players = _rows(rows, direction)
    return Neighbours(players, offset, ahead)


def page(offset: int, rows: bytes, direction: Direction) -> Neighbours:
    """The same, with the sessions that reached the scores."""
    ahead, members, players = _rows(rows, direction)
    return Neighbours(players, offset, ahead, [parse_key(member) for member in members])


def _rows(rows: bytes, direction: Direction) -> tuple[int, Sequence[str], list[PlayerScore]]:
    # A name has no line break: `str.splitlines` knows more of them than this.
    ahead, *lines = rows.decode().split("\n")
    members, sign = lines[::2], direction.score(1)
    players = [
        PlayerScore(*parse_member(member), sign * parse_sort(sort)) for member, sort in zip(members, lines[1::2], strict=True)
    ]
    return int(ahead), members, players
