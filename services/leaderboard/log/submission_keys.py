"""What submissions are called by: two of the same player and key are the same session."""

import os
from hashlib import sha256
from itertools import count

# What a key begins with: those made here, and clients'. So no client can guess or take one of ours.
CLIENT = b"c:"
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


def is_clients(key: bytes) -> bool:
    """Whether its client may send the submission again."""
    return key.startswith(CLIENT)


def find_name(key: bytes) -> str | None:
    """What the client called the submission by, if it did."""
    return key.removeprefix(CLIENT).decode("ascii") if is_clients(key) else None


def digest(user_id: int, key: bytes) -> bytes:
    """What tells this very submission when it comes again, and nothing to whoever does not know both player and key."""
    return sha256(b"%d:%b" % (user_id, key)).digest()
