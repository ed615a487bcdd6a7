"""Usernames: PRECIS UsernameCaseMapped (RFC 8265, section 3.3), narrowed to what reads well on a board."""

import unicodedata
from dataclasses import dataclass

from precis_i18n import get_profile

MIN_LENGTH = 3
MAX_LENGTH = 32

_PROFILE = get_profile("UsernameCaseMapped")
_PUNCTUATION = frozenset("_-.")


class InvalidUsername(ValueError):
    """The name cannot be used. The message says why, in words for its owner."""


@dataclass(frozen=True, slots=True)
class Username:
    """A name as its owner typed it, and the form in which it is unique."""

    display: str
    canonical: str

    @classmethod
    def parse(cls, text: str) -> "Username":
        """Check ``text`` and map its case and width. Raises InvalidUsername.

        Both forms are held to the length, because the mapping can change it: İ becomes two code points.
        """
        # NFC looks the same as what was typed, and is what the mapped form is made from.
        display = unicodedata.normalize("NFC", text)
        if not MIN_LENGTH <= len(display) <= MAX_LENGTH:
            raise InvalidUsername(f"a username has {MIN_LENGTH} to {MAX_LENGTH} characters")
        for character in display:
            category = unicodedata.category(character)
            if category[0] not in "LM" and category != "Nd" and character not in _PUNCTUATION:
                raise InvalidUsername("a username has only letters, digits and _ - .")
        if unicodedata.category(display[0])[0] == "M":
            raise InvalidUsername("a username cannot begin with a mark that belongs on a letter")
        try:
            canonical = _PROFILE.enforce(display)
        except UnicodeError:
            raise InvalidUsername("a username cannot mix these characters; try other letters") from None
        if not MIN_LENGTH <= len(canonical) <= MAX_LENGTH:
            raise InvalidUsername(f"a username has {MIN_LENGTH} to {MAX_LENGTH} characters")
        return cls(display, canonical)
