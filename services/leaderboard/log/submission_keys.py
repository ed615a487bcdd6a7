"""What submissions are called by: two of the same player and key are the same session."""

import os
import re
from hashlib import sha256
from itertools import count

# What a key begins with: those made here, those of players' clients, those of game servers, which share one namespace, and
# those of imported lines that have one, and that have none. So nobody can guess or take another's.
CLIENT = b"c:"
GAME_SERVER = b"g:"
IMPORTED = b"i:"
LINE = b"l:"
NAMED = CLIENT, GAME_SERVER, IMPORTED, LINE
"""What those begin with that come again when a client sends its submission again."""
_SERVER = b"s:"
# What no other process has, and a number that this one has not used: random bytes for each would cost more than the rest.
_PROCESS = os.urandom(16)
_NUMBERS = count()
_MOST_BYTES = 80
_TEXT = re.compile(r"[cgil]:[!-~]{1,78}")


def make() -> bytes:
    """The key of a submission that came without one."""
    return _SERVER + _PROCESS + next(_NUMBERS).to_bytes(8)


def of_client(name: str) -> bytes:
    """The key of a submission that its client calls by ``name``."""
    return CLIENT + name.encode("ascii")


def of_game_server(name: str) -> bytes:
    """The key of a submission that a game server calls by ``name``."""
    return GAME_SERVER + name.encode("ascii")


def of_import(name: str) -> bytes:
    """The key of an imported session that its line calls by ``name``."""
    return IMPORTED + name.encode("ascii")


def of_line(digest: bytes, ordinal: int) -> bytes:
    """The key of an imported session whose line has none: what it says, and how many lines of the file said the same before."""
    return LINE + b"%b-%d" % (digest.hex().encode(), ordinal)


def write(key: bytes) -> str:
    """A whole key as exports have it, by which the session is found again."""
    text = key.decode("latin-1")
    return text if _TEXT.fullmatch(text) else f"x:{key.hex()}"


def read(text: str) -> bytes:
    """What `write` was given. Raises ValueError for what it never gives."""
    if text.startswith("x:") and len(text) <= 2 + 2 * _MOST_BYTES:
        return bytes.fromhex(text[2:])
    if not _TEXT.fullmatch(text):
        raise ValueError("not a key as exports have them")
    return text.encode("ascii")


def is_clients(key: bytes) -> bool:
    """Whether its client may send the submission again."""
    return key.startswith(NAMED)


def is_servers(key: bytes) -> bool:
    """Whether a game server called the submission so, or it was imported."""
    return key.startswith((GAME_SERVER, IMPORTED, LINE))


def find_name(key: bytes) -> str | None:
    """What the client called the submission by, if it did."""
    return key.partition(b":")[2].decode("ascii") if is_clients(key) and not key.startswith(LINE) else None


def digest(user_id: int, key: bytes) -> bytes:
    """What tells this very submission when it comes again, and nothing to whoever does not know both player and key."""
    return sha256(b"%d:%b" % (user_id, key)).digest()
