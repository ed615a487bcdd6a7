"""Passwords that are guessed first: the most common ones, and those made of a name. NIST SP 800-63B-4, section 3.1.1.2."""

import mmap
import unicodedata
from collections.abc import Iterable
from pathlib import Path

# Sorted by bytes, one a line; common_passwords.md has its sources and licences.
LIST = Path(__file__).with_name("common_passwords.txt")
SERVICE_NAMES = ("leaderboard", "leader board")
# What a name may be dressed up with and still be guessed: a few characters, a date, a common password.
_FEW = 4
_DATE = 8


def fold(text: str) -> str:
    """The form in which passwords are compared here: NFKC without case, so that no other spelling slips past."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def is_common(password: str) -> bool:
    """Whether it is one of the most common. Looked up on disk by bisection: the list is never in memory."""
    sought = fold(password).encode("utf-8", "surrogatepass")
    with LIST.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
        low, high = 0, len(lines)  # both where a line begins, or the end
        while low < high:
            begin = max(low, lines.rfind(b"\n", low, (low + high) // 2) + 1)
            end = lines.find(b"\n", begin)
            line = lines[begin:end]
            if line == sought:
                return True
            if line < sought:
                low = end + 1
            else:
                high = begin
    return False


def is_made_of(password: str, names: Iterable[str]) -> bool:
    """Whether it is one of the names, or several, with little besides."""
    rest = _letters_and_digits(fold(password))
    before = rest
    for name in sorted((_letters_and_digits(fold(name)) for name in names), key=len, reverse=True):
        rest = rest.replace(name, "") if name else rest
    if rest == before:
        return False
    return len(rest) < _FEW or (rest.isdigit() and len(rest) <= _DATE) or is_common(rest)


def _letters_and_digits(text: str) -> str:
    return "".join(character for character in text if character.isalnum())
