"""Names that are like one that cannot be had: with a number behind it."""

import secrets

from services.auth.accounts import made_up_names, reserved_names
from services.auth.accounts.usernames import MAX_LENGTH, InvalidUsername, Username

# As many digits as it takes that a name is seldom taken, then more.
_DIGITS = (4, 4, 6, 8)
ATTEMPTS = len(_DIGITS) + made_up_names.ATTEMPTS


def make(name: Username, attempt: int) -> Username:
    """A name that may be free. ``attempt``: how many were not, of at most ATTEMPTS.

    What becomes no name with a number behind it becomes one that is made up. So do the last attempts.
    """
    if attempt < len(_DIGITS):
        suffixed = _with_number(name, _DIGITS[attempt])
        if suffixed is not None and not reserved_names.is_reserved(suffixed):
            return suffixed
    return made_up_names.make(attempt % made_up_names.ATTEMPTS)


def _with_number(name: Username, digits: int) -> Username | None:
    """The name, cut where it would become too long, with a number of so many digits."""
    number = f"{secrets.randbelow(10**digits):0{digits}}"
    for length in range(MAX_LENGTH - digits, 0, -1):
        if length > len(name.display):
            continue
        try:
            return Username.parse(f"{name.display[:length].rstrip()}{number}")
        except InvalidUsername:  # its other form is longer, or a mark was cut from its letter
            continue
    return None
