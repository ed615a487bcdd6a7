"""What `make seed` makes up: names the system takes, and play that looks like people's."""

import time
from collections import Counter
from itertools import islice
from random import Random

import pytest

from services.auth.accounts.usernames import Username
from services.leaderboard.rules.ranking import MAX_SESSION_SCORE
from services.local.seed.names import canonical, gamer_names
from services.local.seed.population import DAYS, Population, populate

NOW = time.time_ns() // 1000
DAY = 24 * 3600 * 1_000_000


@pytest.fixture(scope="module")
def population() -> Population:
    return populate(Random(1), players=2_000, sessions=10_000, now=NOW, max_score=MAX_SESSION_SCORE)


def test_names_are_ones_the_auth_service_takes_and_holds_for_different() -> None:
    names = list(islice(gamer_names(Random(1)), 5_000))
    mapped = [Username.parse(name).canonical for name in names]
    assert mapped == [canonical(name) for name in names]
    assert len(set(mapped)) == len(names)


def test_a_taken_name_is_not_given_again() -> None:
    taken = {canonical(name) for name in islice(gamer_names(Random(1)), 100)}
    assert not taken & {canonical(name) for name in islice(gamer_names(Random(1), taken), 100)}


def test_sessions_are_in_order_of_time_and_none_is_before_its_player_joined(population: Population) -> None:
    assert {len(each) for each in (population.players, population.scores, population.times, population.laps)} == {10_000}
    assert population.times == sorted(population.times)
    assert population.joined == sorted(population.joined)
    assert population.joined[0] >= NOW - DAYS * DAY
    assert all(population.joined[player] <= at <= NOW for player, at in zip(population.players, population.times, strict=True))


def test_sessions_are_spread_over_the_days(population: Population) -> None:
    days = Counter((NOW - at) // DAY for at in population.times)
    assert set(range(DAYS - 5)) <= set(days)
    assert max(days.values()) < 10_000 / 10


def test_some_sessions_are_races_and_some_of_their_times_are_ties(population: Population) -> None:
    laps = [lap for lap in population.laps if lap is not None]
    assert 10_000 / 10 < len(laps) < 10_000 / 3
    assert min(laps) >= 1
    assert len(set(laps)) < len(laps)


def test_few_players_play_much_and_everyone_plays(population: Population) -> None:
    played = Counter(population.players)
    assert set(played) == set(range(2_000))
    keenest = sum(sessions for _, sessions in played.most_common(200))
    assert keenest > 10_000 / 3
    assert min(played.values()) == 1


def test_scores_have_ties_and_some_players_never_scored(population: Population) -> None:
    totals = Counter[int]()
    for player, score in zip(population.players, population.scores, strict=True):
        assert 0 <= score <= MAX_SESSION_SCORE
        totals[player] += score
    assert len(set(totals.values())) < 1_500
    assert sum(total == 0 for total in totals.values()) >= 2


def test_scores_stay_below_the_boards_maximum() -> None:
    assert max(populate(Random(1), players=50, sessions=500, now=NOW, max_score=700).scores) == 700


@pytest.mark.parametrize(("players", "sessions"), [(1, 0), (1, 3), (2, 2), (10, 4)])
def test_small_numbers_work_too(players: int, sessions: int) -> None:
    population = populate(Random(1), players, sessions, NOW, MAX_SESSION_SCORE)
    assert len(population.joined) == players
    assert len(population.players) == sessions
