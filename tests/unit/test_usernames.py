"""Usernames: what is let in, and what counts as the same name."""

import re
import sys
import unicodedata
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.accounts import scripts
from services.auth.accounts.usernames import MAX_LENGTH, InvalidUsername, Username


@pytest.mark.parametrize(
    "name",
    [
        "Ada",
        "ada_lovelace",
        "x.y-z_1",
        "Straße",
        "Nguyễn",
        "Ωμέγα",
        "игрок_7",
        "プレイヤー",
        "Ada佐々木プレイヤー",
        "玩家一",
        "Ada玩家",
        "Ada선수",
        "لاعب",
        "שחקן",
        "שָׁלוֹם",
        "खिलाड़ी१",
        "ผู้เล่น",
        "a" * 32,
        "Mary Jane",
        "A b c",
        "玩家 一",
        "Ada プレイヤー 7",
        "بازیکن۴",
        "بازیکن_۱۲۳",
        "ۀلی",
        "لاعب٤",
        "O\u02bcBrien",
        "カー々",
    ],
)
def test_names_of_every_script_are_welcome_and_shown_as_typed(name: str) -> None:
    assert Username.parse(name).display == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"),
        ("Ａｄａ", "ada"),
        ("É\u0323" + "ab", "É\u0323" + "AB"),
        ("e\u0301ab", "éab"),
        ("ΩΜΈΓΑ", "ωμέγα"),
        ("Kay", "kay"),
        ("Mary Jane", "MARY jane"),
    ],
)
def test_case_width_and_composition_make_no_other_name(one: str, other: str) -> None:
    assert Username.parse(one).canonical == Username.parse(other).canonical


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "a" * 33,
        "İ" * 32,
        "two  spaces",
        " before",
        "behind ",
        "   ",
        "no\u00a0break",
        "wide\u3000space",
        "thin\u2009space",
        "line\u2028break",
        "ada \u0301",
        "Mary Джейн",
        "ada ۴",
        "игрок ada",
        "لاعب٤۴",
        "игрок१",
        "ადაада",
        "tab\tbed",
        "nul\x00l",
        "line\nbreak",
        "a\u200bb\u200dc",
        "\u202eabc",
        "abc\u2066",
        "a\u034fbc",
        "abc\ufe0f",
        "\u115fabc",
        "ada!",
        "ada@home",
        "<b>ada",
        "😀😀😀",
        "①②③",
        "ﬁxer",
        "x²x",
        "Ⅳth",
        "\ud800abc",
        "\u0301abc",
        "אבa",
        "٣٤٥",
        "ada१",
        "プレイヤー선수",
        "игрок玩家",
        "a" + "\u0300\u0301\u0302\u0303\u0304" + "bc",
        "a\u0338\u0338bc",
    ],
)
def test_what_cannot_be_read_or_told_apart_is_refused(name: str) -> None:
    with pytest.raises(InvalidUsername):
        Username.parse(name)


@pytest.mark.parametrize(
    "look_alike",
    [
        "ADA_LOVELACE",
        "Ada_lovelace",
        "Ａda_Lovelace",
        "Ａｄａ＿Ｌｏｖｅｌａｃｅ",
        "Аda_Lovelace",
        "Adа_Lovelace",
        "Αda_Lovelace",
        "Ada_Lονelace",
        "Ada_ꓡovelace",
        "𝐀da_Lovelace",
        "Ⓐda_Lovelace",
        "ªda_Lovelace",
        "Ada_Loveⅼace",
        "Ada_\u202eLovelace",
        "Ada_\u2066Lovelace\u2069",
        "Ada_\u200bLovelace",
        "Ada_\u200dLovelace",
        "Ada_\u2060Lovelace",
        "\ufeffAda_Lovelace",
        "Ada_Lovelace\u00ad",
        "Ada_Lovelace\ufe0e",
        "Ada_Lovelace\U000e0041",
        "Ada_Lovelace ",
        "Ada_Lovelace\u2003",
        "Ada_Lovelace\u3164",
    ],
)
def test_a_name_that_looks_like_another_is_the_same_one_or_refused(look_alike: str) -> None:
    try:
        assert Username.parse(look_alike).canonical == Username.parse("Ada_Lovelace").canonical
    except InvalidUsername:
        return


@given(st.text(max_size=40))
def test_any_text_is_either_a_stable_name_or_refused(text: str) -> None:
    try:
        name = Username.parse(text)
    except InvalidUsername:
        return
    assert 3 <= len(name.display) <= MAX_LENGTH
    assert 3 <= len(name.canonical) <= MAX_LENGTH
    assert Username.parse(name.canonical).canonical == name.canonical
    assert Username.parse(name.display) == name
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zs"} for character in name.display.replace(" ", ""))
    assert name.display.split() == name.display.split(" ")


def test_a_space_makes_another_name() -> None:
    assert len({Username.parse(name).canonical for name in ("Mary Jane", "MaryJane", "Mary_Jane")}) == 3


@pytest.mark.parametrize("digits", ["٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹"])
def test_arabic_names_have_the_digits_of_east_and_west(digits: str) -> None:
    for digit in digits:
        assert Username.parse(f"لاعب{digit}").display == f"لاعب{digit}"


def test_the_table_of_scripts_is_in_order_and_knows_every_character() -> None:
    rows = [line.split() for line in scripts.TABLE.read_text(encoding="ascii").splitlines()]
    begins = [int(begin, 16) for begin, *_ in rows]
    assert begins[0] == 0
    assert begins == sorted(set(begins))
    assert all(re.fullmatch("[A-Z][a-z]{3}( [A-Z][a-z]{3})*", " ".join(names)) for _, *names in rows)
    # Each letter's own script is the first word of its name, in the large alphabets.
    for word, code in {"LATIN": "Latn", "GREEK": "Grek", "CYRILLIC": "Cyrl", "ARABIC": "Arab", "HANGUL": "Hang"}.items():
        letters = [
            letter
            for letter in map(chr, range(sys.maxunicode + 1))
            if unicodedata.category(letter) in {"Lu", "Ll", "Lo"} and unicodedata.name(letter, "").startswith(f"{word} ")
        ]
        assert letters
        for letter in letters:
            names = rows[bisect_right(begins, ord(letter)) - 1][1:]
            assert code in names, f"{letter} is {names}"
