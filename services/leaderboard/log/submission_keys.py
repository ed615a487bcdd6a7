"""What submissions are called by: two of the same player and key are the same session."""

import os
from hashlib import sha256
from itertools import count

# What a key begins with: those made here, those of players' clients, and those of game servers, which share one namespace. So
# nobody can guess or take another's.
CLIENT = b"c:"
GAME_SERVER = b"g:"
NAMED = CLIENT, GAME_SERVER
"""What those begin with that come again when a client sends its submission again."""
_SERVER = b"s:"
# What no other process has, and a number that this one has not used: random bytes for each would cost more than the rest.
_PROCESS = os.urandom(16)
_NUMBERS = count()


def make() -> bytes:
    """The key of a submission that came without one."""
    return _SERVER + _PROCESS + next(_NUMBERS).to_bytes(8)


def of_client(name: str) -> bytes:
    """The key of a submission that its client calls by ``name``."""
    return CLIENT + name.encode("ascii")


def of_game_server(name: str) -> bytes:
    """The key of a submission that a game server calls by ``name``."""
    return GAME_SERVER + name.encode("ascii")


def is_clients(key: bytes) -> bool:
    """Whether its client may send the submission again."""
    return key.startswith(NAMED)


def find_name(key: bytes) -> str | None:
    """What the client called the submission by, if it did."""
    return key.partition(b":")[2].decode("ascii") if is_clients(key) else None


def digest(user_id: int, key: bytes) -> bytes:
    """What tells this very submission when it comes again, and nothing to whoever does not know both player and key."""
    return sha256(b"%d:%b" % (user_id, key)).digest()
