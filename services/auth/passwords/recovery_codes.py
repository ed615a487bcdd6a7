"""What a recovery code is: made once, written down by its owner, and good once in the place of a password."""

import hashlib
import secrets
import unicodedata

HOW_MANY = 8
MAX_LENGTH = 64
"""Of what may be typed: a code with whatever stands between its letters."""

# Crockford's base32: no letter that is mistaken for a digit, and no U. https://www.crockford.com/base32.html
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("OIL", "011")
_GROUPS, _LETTERS = 4, 4  # 16 letters of 5 random bits: so many that a fast hash is enough


def make() -> list[str]:
    """New codes, as their owner is shown them."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(HOW_MANY)]


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))


def code_hash(user_id: int, typed: str) -> bytes:
    """The hash that is stored of a user's code. Letters and digits count, in any case or width; O is 0, and I and L are 1.

    What is no code has a hash too, which is nobody's.
    """
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", typed)))
    normal = letters.upper().translate(_MISREAD)
    return hashlib.sha256(f"recovery code {user_id} {normal}".encode()).digest()
