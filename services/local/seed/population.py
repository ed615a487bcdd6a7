"""Who plays how often, when and how well: made up, with no I/O."""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

DAYS = 40
_MICROSECONDS_A_DAY = 24 * 3600 * 1_000_000
# Zipf-Mandelbrot: the n-th keenest player plays in proportion to 1 / (n + shift) ** exponent. The shift keeps the very first
# ones human: of a million sessions the keenest of 200,000 players has a few thousand.
_EXPONENT, _SHIFT = 0.9, 20.0
_TYPICAL_SCORE = 600
_STEP = 10  # games give points by the ten, so there are plenty of ties
_ZERO_SHARE = 0.03  # of all sessions: quit early, or lost outright
_ALL_ZERO_SHARE = 0.0005  # of all players: have nothing but such sessions
_RACE_SHARE = 0.2  # of all sessions: are races, which have a time beside the score
_TYPICAL_LAP_MS = 60_000


@dataclass(frozen=True)
class Population:
    """Players in the order they joined, and what they played, in the order of time.

    The n-th session is ``players[n]``'s (counted from 0), with ``scores[n]`` at ``times[n]``: microseconds since 1970, UTC.
    If it was a race, it took ``laps[n]`` milliseconds; else that is None.
    """

    joined: list[int]
    players: list[int]
    scores: list[int]
    times: list[int]
    laps: list[int | None]


def populate(random: Random, players: int, sessions: int, now: int, max_score: int) -> Population:
    """Make up ``players`` who joined over the past `DAYS`, and ``sessions`` between them.

    Everyone plays at least once if there are sessions enough. ``now`` is in microseconds since 1970.
    """
    joined = sorted(now - int(random.random() ** 0.5 * DAYS * _MICROSECONDS_A_DAY) for _ in range(players))
    who = _activity(random, players, sessions)
    # By time, then by player: one number for both sorts a million of them in a moment.
    order = sorted((joined[player] + int(random.random() * (now - joined[player]))) * players + player for player in who)
    times = [key // players for key in order]
    who = [key % players for key in order]
    skill = [random.lognormvariate(0.0, 0.5) for _ in range(players)]
    for player in _without_a_point(random, who):
        skill[player] = 0.0
    scores = [_score(random, skill[player], max_score) for player in who]
    laps = [_lap(random, skill[player]) if random.random() < _RACE_SHARE else None for player in who]
    return Population(joined, who, scores, times, laps)


def _activity(random: Random, players: int, sessions: int) -> list[int]:
    """Which player played each session, in no order."""
    if sessions <= players:
        return random.sample(range(players), sessions)
    keenness = list(range(players))
    random.shuffle(keenness)  # the keenest need not have joined first
    weights = list(accumulate((place + _SHIFT) ** -_EXPONENT for place in range(1, players + 1)))
    return [*range(players), *random.choices(keenness, cum_weights=weights, k=sessions - players)]


def _without_a_point(random: Random, who: list[int]) -> list[int]:
    """A few players whose every session is a zero: at least two, if there are three or more who played."""
    played = sorted(set(who))
    return random.sample(played, max(2, int(len(played) * _ALL_ZERO_SHARE))) if len(played) > 2 else []


def _score(random: Random, skill: float, max_score: int) -> int:
    if random.random() < _ZERO_SHARE:
        return 0
    return min(max_score, round(_TYPICAL_SCORE * skill * random.lognormvariate(0.0, 0.8) / _STEP) * _STEP)


def _lap(random: Random, skill: float) -> int:
    """Who scores more is a little faster. Clocks show hundredths of a second, so there are ties."""
    faster: float = (skill or 1.0) ** 0.2
    return round(_TYPICAL_LAP_MS / faster * random.lognormvariate(0.0, 0.08) / _STEP) * _STEP
