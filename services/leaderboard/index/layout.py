"""The ranking index: every standing of a board and period in Redis, so that pages, ranks and neighbours need no MySQL.

Keys, all of a board and period under one hash tag, so that Redis Cluster keeps them together (one primary is assumed for a
tag: a script sees all of them, or none):

- ``lb:{board:period}:players``: HASH, user → ``version key username`` (removed: ``version``), and fields that begin with #.
- ``lb:{board:period}:order``: ZSET, member = ``key``, user, a blank and ``username``, score = the score with a minus sign.
- ``lb:{board:period}:top:<limit>:<offset>``: STRING, the generation and a rendered page (see pages.py).

A **key** is ``reached_session_id`` written so that it sorts by its bytes as the number does, in few of them: how many digits
follow, then digits of base 64. Among equal scores ZRANGE sorts members by their bytes, so its order is the board's,
`score DESC, reached_session_id ASC`. A score is a double there, exact below 2^53. The name is in both keys: a page or a
player's neighbours are one ZRANGE then, without a look-up of each that at a million players misses every cache there is.

The index is read only while it is complete: see lua/prelude.lua. What is older than what it has, it refuses, by version.
"""

import base64

from services.leaderboard.rules.places import Place
from services.leaderboard.rules.standings import Neighbours, PlayerScore

# The alphabet of base64 in the order of its digits' values, and one whose bytes are in that order.
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SORTED = bytes.maketrans(_DIGITS, bytes(sorted(b"-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")))


def keys(at: Place) -> list[str]:
    """Where the index of a board and period is: its hash and its sorted set."""
    return [f"{prefix(at)}:players", f"{prefix(at)}:order"]


def sort_key(reached_session_id: int) -> str:
    """A number of up to 64 bits as ASCII that sorts as it does: the number of digits, then the digits."""
    digits = base64.b64encode(reached_session_id.to_bytes(9)).translate(_SORTED).lstrip(b"-").decode()
    return chr(ord("0") + len(digits)) + digits


def board_score(score: int) -> str:
    """A score as the sorted set orders it: the greatest first. A string, for no number on the way may lose a digit."""
    return f"-{score}" if score else "0"


def prefix(at: Place) -> str:
    return f"lb:{{{at.board_id}:{at.period_id}}}"


def page_key(at: Place, limit: int, offset: int) -> str:
    return f"{prefix(at)}:top:{limit}:{offset}"


def parse_score(kept: str | bytes) -> int:
    """The score that the sorted set orders by this."""
    try:
        return -int(kept)
    except ValueError:  # a server may write an exponent; a double all the same, and exact
        return -int(float(kept))


def parse_member(member: str) -> tuple[int, str]:
    """The player and the name in a member of the sorted set. A key's first character says how many follow it, "0" none."""
    user, username = member[ord(member[0]) - 47 :].split(" ", 1)
    return int(user), username


def player(user_id: int, score: bytes, username: bytes) -> PlayerScore:
    return PlayerScore(user_id, username.decode(), parse_score(score))


def neighbours(offset: int, rows: bytes) -> Neighbours:
    # A name has no line break: `str.splitlines` knows more of them than this.
    ahead, *lines = rows.decode().split("\n")
    players = []
    for member, score in zip(lines[::2], lines[1::2], strict=True):
        user_id, username = parse_member(member)
        players.append(PlayerScore(user_id, username, parse_score(score)))
    return Neighbours(players, offset, int(ahead))
