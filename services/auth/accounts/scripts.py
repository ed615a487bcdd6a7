"""The scripts that characters are written in, and which of them stand together: Unicode's properties, UTS #39, section 5."""

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

# Where a run of characters of the same scripts begins, and those scripts; scripts.md has its source.
TABLE = Path(__file__).with_name("scripts.txt")
# Common and Inherited: what is written in whatever script stands around it.
_ANY = frozenset({"Zyyy", "Zinh"})
_LATIN = "Latn"
# Scripts that are written together are one here too: Han with Bopomofo, Japanese, Korean.
_TOGETHER = {"Hani": {"Hanb", "Jpan", "Kore"}, "Hira": {"Jpan"}, "Kana": {"Jpan"}, "Bopo": {"Hanb"}, "Hang": {"Kore"}}
_BESIDE_LATIN = frozenset({"Hanb", "Jpan", "Kore"})


def _read() -> tuple[list[int], list[frozenset[str]]]:
    rows = [line.split() for line in TABLE.read_text(encoding="ascii").splitlines()]
    return [int(begin, 16) for begin, *_ in rows], [_augmented(scripts) for _, *scripts in rows]


def _augmented(scripts: Iterable[str]) -> frozenset[str]:
    return frozenset(scripts).union(*(_TOGETHER.get(script, ()) for script in scripts))


_BEGINS, _SCRIPTS = _read()


def is_readable(text: str) -> bool:
    """Whether ``text`` is of one script, or of scripts that people write together: UTS #39's level "highly restrictive".

    Else one could be "Ada" with a Cyrillic A.
    """
    found = [scripts for scripts in map(_of, text) if not scripts & _ANY]
    if _common(found) != frozenset():
        return True
    beside = _common([scripts for scripts in found if _LATIN not in scripts])
    return beside is not None and bool(beside & _BESIDE_LATIN)


def _of(character: str) -> frozenset[str]:
    """The scripts that a character is used in (Script_Extensions, which is Script where it has no others)."""
    return _SCRIPTS[bisect_right(_BEGINS, ord(character)) - 1]


def _common(found: list[frozenset[str]]) -> frozenset[str] | None:
    """What all have in common; None if there are none."""
    return frozenset.intersection(*found) if found else None
