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


def beginnings(text: str) -> list[str]:
    """What the unique forms of the names begin with that begin with ``text``, whatever its case and width: of one or two.

    It is mapped as a name is, but not held to the rules of one: what a name begins with may be no name. A capital sigma becomes
    one small letter at the end of a word and another one before a letter, and what comes after ``text`` is not known.
    """
    if text.isascii():
        return [text.lower()]
    return sorted({_mapped(text), _mapped(f"{text}a")[:-1]})


def _mapped(text: str) -> str:
    words = unicodedata.normalize("NFC", text).split(" ")
    return " ".join(
        _PROFILE.normalization_rule(_PROFILE.case_mapping_rule(_PROFILE.width_mapping_rule(word))) for word in words
    )
