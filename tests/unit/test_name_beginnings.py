"""What names begin with is folded as names are."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.accounts.usernames import InvalidUsername, Username
from services.common.names import beginnings, canonical

LETTERS = st.sampled_from([*"aAzZ09_-. ", *"ΣσςΑα", *"éÉßẞİıŁ", *"ｱＡａ", *"שאم9", "l", "·", "日", "本", "\u0301"])


@given(st.lists(LETTERS, min_size=3, max_size=12), st.integers(1, 11))
def test_whatever_a_name_begins_with_finds_it(letters: list[str], cut: int) -> None:
    try:
        name = Username.parse("".join(letters)).display
    except InvalidUsername:
        return
    begins, rest = name[:cut], name[cut:]
    if rest and unicodedata.combining(rest[0]):
        return  # a letter is cut in two, and is another one
    assert any(canonical(name).startswith(each) for each in beginnings(begins)), (name, begins)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ada", ["ada"]),
        ("ΟΔΥΣ", ["οδυς", "οδυσ"]),
        ("ΟΔΥς", ["οδυς"]),
        ("Ｑ%_\\ ", ["q%_\\ "]),
        ("שלום-", ["שלום-"]),
        ("🦦", ["🦦"]),
    ],
)
def test_it_is_of_one_form_or_of_two(text: str, found: list[str]) -> None:
    assert beginnings(text) == found
