"""Names of guests: each that can be made up is one that a person could take."""

import re

from services.auth.accounts import made_up_names
from services.auth.accounts.made_up_names import ATTEMPTS, FIRST, SECOND
from services.auth.accounts.reserved_names import is_reserved
from services.auth.accounts.usernames import MAX_LENGTH, Username


def test_no_word_is_there_twice_and_each_is_one() -> None:
    for words in (FIRST, SECOND):
        assert len(words) == len({word.lower() for word in words}) > 80
        assert all(re.fullmatch("[A-Z][a-z]+", word) for word in words)


def test_no_two_words_make_a_name_that_nobody_may_have() -> None:
    for first in FIRST:
        for second in SECOND:
            assert not is_reserved(Username(f"{first}{second}", f"{first}{second}".lower()))


def test_the_longest_name_is_not_too_long() -> None:
    longest = max(map(len, FIRST)) + max(map(len, SECOND)) + len(str(10**8))
    assert longest <= MAX_LENGTH


def test_names_that_are_made_up_are_different_ones() -> None:
    made = {made_up_names.make(attempt).canonical for attempt in range(ATTEMPTS) for _ in range(50)}
    assert len(made) > 195
