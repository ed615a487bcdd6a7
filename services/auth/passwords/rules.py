"""What a password may be."""

import unicodedata
from collections.abc import Sequence

from services.auth.passwords import blocklist

MAX_LENGTH = 128


class InvalidPassword(ValueError):
    """The password cannot be used. The message says why, in words for its owner."""


def normalize(text: str) -> str:
    """The form that is hashed: NFKC, so that every keyboard writes the same password. Raises InvalidPassword."""
    normal = unicodedata.normalize("NFKC", text)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in normal):
        raise InvalidPassword("a password cannot hold control characters")
    if len(normal) > MAX_LENGTH:  # NFKC can make one code point into eighteen
        raise InvalidPassword(f"a password has at most {MAX_LENGTH} characters")
    return normal


def new_password(text: str, min_length: int, names: Sequence[str] = ()) -> str:
    """The normal form of a password that is being set, by whoever is called ``names``. Raises InvalidPassword.

    Its length, and that it is not what is guessed first, are the only rules: NIST SP 800-63B-4, section 3.1.1.2, forbids
    rules of composition.
    """
    normal = normalize(text)
    if len(normal) < min_length:
        raise InvalidPassword(f"a password has at least {min_length} characters")
    if blocklist.is_common(normal):
        raise InvalidPassword("so many people use this password that it is guessed first; choose one of your own")
    if blocklist.is_made_of(normal, (*names, *blocklist.SERVICE_NAMES)):
        raise InvalidPassword("a password made of your name or of this service's is guessed first; choose another one")
    return normal
