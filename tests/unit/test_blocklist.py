"""Which passwords are refused because they are guessed first, and which are not."""

import tracemalloc

import pytest

from services.auth.passwords import blocklist, rules
from services.auth.passwords.rules import InvalidPassword

LINES = blocklist.LIST.read_bytes().splitlines()


def test_the_list_has_its_form_and_its_order_and_every_line_is_found() -> None:
    assert len(LINES) > 40_000
    assert sorted(set(LINES)) == LINES
    for line in LINES:
        assert blocklist.fold(line.decode()).encode() == line
    assert all(blocklist.is_common(line.decode()) for line in [*LINES[::97], LINES[0], LINES[-1]])


@pytest.mark.parametrize("password", ["", "\x00", "correct horse battery", "zzzzzzzzzzzzzzzzzz", "\U0010ffff", "\ud800"])
def test_what_is_not_in_the_list_is_not_found(password: str) -> None:
    assert not blocklist.is_common(password)


@pytest.mark.parametrize(
    "password",
    ["password1", "PASSWORD1", "Password123", "ｐａｓｓｗｏｒｄ１", "iloveyou", "12345678", "qwertyuiop", "football"],
)
def test_a_common_password_is_refused_in_any_case_and_width(password: str) -> None:
    with pytest.raises(InvalidPassword, match="so many people"):
        rules.new_password(password, 8)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Ada_Lovelace", "adalovelace"),
        ("Ada_Lovelace", "Ada_Lovelace"),
        ("ada", "AdaAdaAda"),
        ("ada", "ada-2024-ada"),
        ("Ａｄａ", "ada12345!"),
        ("straße", "STRASSE1984"),
        ("anybody", "Leaderboard1!"),
        ("anybody", "leader board"),
        ("ada", "ada@leaderboard"),
        ("ada", "adapassword1"),
    ],
)
def test_a_password_made_of_a_name_is_refused(name: str, password: str) -> None:
    with pytest.raises(InvalidPassword, match="made of your name"):
        rules.new_password(password, 8, [name])


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Ada", "correct horse battery"),
        ("Ada", "a lovely canada goose"),
        ("cat", "cats dislike water"),
        ("---", "correct horse battery"),
        ("horse", "correct horse battery"),
        ("Ada", "leaderboards of the north"),
        ("bob", "83910274650183"),
    ],
)
def test_a_password_that_only_holds_a_name_is_welcome(name: str, password: str) -> None:
    rules.new_password(password, 8, [name])


def test_a_look_up_takes_no_memory_to_speak_of() -> None:
    blocklist.is_common("warm")
    tracemalloc.start()
    try:
        blocklist.is_common("correct horse battery")
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
