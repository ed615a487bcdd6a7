"""Usernames: PRECIS UsernameCaseMapped (RFC 8265, section 3.3), narrowed to what reads well on a board."""

import unicodedata
from dataclasses import dataclass

from services.auth.accounts import scripts
from services.common.names import canonical as canonical_of

MIN_LENGTH = 3
MAX_LENGTH = 32

_PUNCTUATION = frozenset("_-. ")
# UTS #39, section 5.4: more would be written over other people's names.
MAX_MARKS = 4


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
                raise InvalidUsername("a username has only letters, digits, _ - . and single spaces between words")
        # RFC 8265, section 3.5: a username is of one part or several, with spaces between them.
        words = display.split(" ")
        if not all(words):
            raise InvalidUsername("a username has single spaces, and only between words")
        if any(unicodedata.category(word[0])[0] == "M" for word in words):
            raise InvalidUsername("a word of a username cannot begin with a mark that belongs on a letter")
        try:
            canonical = canonical_of(display)
        except UnicodeError:
            raise InvalidUsername("a username cannot mix these characters; try other letters") from None
        if not MIN_LENGTH <= len(canonical) <= MAX_LENGTH:
            raise InvalidUsername(f"a username has {MIN_LENGTH} to {MAX_LENGTH} characters")
        if not scripts.is_readable(canonical):
            raise InvalidUsername("a username has letters of one script only; try other letters")
        if _has_stacked_marks(canonical):
            raise InvalidUsername("a username cannot have so many marks on one letter")
        return cls(display, canonical)


def _has_stacked_marks(text: str) -> bool:
    marks = ""
    for character in unicodedata.normalize("NFD", text):
        if unicodedata.category(character) not in {"Mn", "Me"}:
            marks = ""
            continue
        if marks.endswith(character) or len(marks) == MAX_MARKS:
            return True
        marks += character
    return False
