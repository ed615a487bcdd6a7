"""Names with a number behind them: each is a name, and like the one that could not be had where that is possible."""

import pytest

from services.auth.accounts import reserved_names, suffixed_names
from services.auth.accounts.usernames import MAX_LENGTH, Username


@pytest.mark.parametrize(
    "text",
    [
        "Ada",
        "y" * 32,
        "Ada Lovelace",
        "x" * 27 + " yyyy",
        "\u0645\u0631\u062d\u0628\u0627",
        "Zoe\u0308" * 8,
        "Adm",
        "한국어",
        "İ" * 16,
    ],
)
def test_every_attempt_gives_a_name_and_the_first_ones_are_alike(text: str) -> None:
    name = Username.parse(text)
    for attempt in range(suffixed_names.ATTEMPTS):
        made = suffixed_names.make(name, attempt)
        assert Username.parse(made.display) == made
        assert len(made.display) <= MAX_LENGTH
        assert not reserved_names.is_reserved(made)
        if attempt < 4:
            assert made.display[:3] == name.display[:3]
            assert made.display[-4:].isdigit()
    assert suffixed_names.make(name, 0) != suffixed_names.make(name, 3)
