"""Names that nobody has, however they are written."""

import pytest

from services.auth.accounts.reserved_names import RESERVED, is_reserved
from services.auth.accounts.usernames import Username


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_each_reserved_name_can_be_written_and_is_refused(name: str) -> None:
    assert is_reserved(Username.parse(name))


@pytest.mark.parametrize(
    "name",
    [
        "Admin",
        "ADMIN",
        "ａｄｍｉｎ",
        "a.d.m.i.n",
        "_admin_",
        "ad-min",
        "Adm1n",
        "4dm1n",
        "adrnin",
        "adm\u0131n",
        "ádmïn",
        "a\u0323dmin",
        "аԁміп",  # every letter Cyrillic
        "АԀМІП",
        "m0d",
        "MODERAT0R",
        "м0ԁ",
        "r00t",
        "5upport",
        "system",
        "sy5tem",
        "оԝпег",
        "5taff",
        "game-master",
        "game master",
        "ad min",
        "officia1",
        "Leader-Board",
        "Админ",
        "МОДЕРАТОР",
    ],
)
def test_no_other_writing_of_a_reserved_name_is_let_through(name: str) -> None:
    assert is_reserved(Username.parse(name))


@pytest.mark.parametrize(
    "name", ["Ada", "admiral", "Adam", "moderato", "modest", "Ruth", "badminton", "Админа", "ルート", "mode"]
)
def test_names_that_only_resemble_one_are_free(name: str) -> None:
    assert not is_reserved(Username.parse(name))
