"""What the bench makes of what watchers were told: when each session was shown to each stream."""

import json
from collections.abc import Mapping

import pytest

from tests.bench.generator import GeneratorFailed
from tests.bench.live import milliseconds_to_own, milliseconds_to_shown, percentile
from tests.bench.watchers import Watched

ADA, BOB = 1, 2
ACKNOWLEDGED = [(10.0, ADA, 5), (10.1, BOB, 3), (10.3, ADA, 6)]


def page(scores: Mapping[int, int]) -> str:
    return json.dumps({"top": [{"user_id": user, "score": score} for user, score in scores.items()]})


def own(score: int) -> str:
    return json.dumps({"user_id": ADA, "score": score})


PAGES = [page({ADA: 4}), page({ADA: 5, BOB: 3}), page({ADA: 6, BOB: 3})]


def test_a_session_is_shown_with_the_first_page_that_has_it_whatever_a_stream_missed() -> None:
    every_page = [(9.0, 0), (10.25, 1), (10.5, 2)]
    missed_one = [(9.0, 0), (10.75, 2)]
    taken = milliseconds_to_shown(ACKNOWLEDGED, Watched(PAGES, [every_page, missed_one]))
    assert [round(each) for each in taken] == [250, 150, 200, 750, 650, 450]


def test_a_session_that_is_shown_before_its_answer_has_come_took_no_time() -> None:
    assert milliseconds_to_shown(ACKNOWLEDGED[:1], Watched(PAGES, [[(9.9, 1)]])) == [0]


def test_a_stream_that_never_had_the_last_state_fails_the_round() -> None:
    with pytest.raises(GeneratorFailed, match="1 sessions were not shown to a stream"):
        milliseconds_to_shown(ACKNOWLEDGED, Watched(PAGES, [[(10.2, 1), (10.5, 2)], [(10.2, 1)]]))
    with pytest.raises(GeneratorFailed, match="never shown"):
        milliseconds_to_shown(ACKNOWLEDGED, Watched(PAGES[:2], [[(10.2, 1)]]))


def test_own_ranks_are_timed_by_who_they_are_of() -> None:
    told = [(9.0, own(4)), (11.0, own(6))]
    taken = milliseconds_to_own(ACKNOWLEDGED, Watched(own=[told]))
    assert [round(each) for each in taken] == [1000, 700]
    with pytest.raises(GeneratorFailed):
        milliseconds_to_own(ACKNOWLEDGED, Watched(own=[told[:1]]))


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
