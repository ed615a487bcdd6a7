"""The figures: what is divided by what, what each must not fall short of, and what it should come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A figure and its marks. A ratio is that of the answers a second of two loads in the same round."""

    name: str
    title: str
    floor: float | None = None
    aim: float | None = None
    of: str = ""
    against: str = ""
    unit: Literal["", "s", "ms", "a second", "bytes", "MiB", "area"] = ""
    less_is_better: bool = False


class Verdict(Enum):
    """How a figure stands to its marks."""

    AIM = "aim reached"
    FLOOR = "floor held"
    BELOW = "below the floor"
    TOLD = "told"
    MISSING = "not there"
    """What it is about does not answer as it should: it is not built yet, or is broken."""
    FAILED = "not measured"
    """Answers were errors or never came while it was measured."""


@dataclass(frozen=True)
class Outcome:
    """What a figure came to: the median of its rounds and their spread. None where nothing could be measured."""

    figure: Figure
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the run may succeed with it."""
        return self.verdict not in {Verdict.BELOW, Verdict.MISSING, Verdict.FAILED}


ONE_PROCESS = (
    Figure("top", "/top / bytes ceiling", 0.75, 0.9, "top", "bytes"),
    Figure("top-busy", "/top while 200 sessions a second are submitted / bytes ceiling", 0.55, 0.75, "top-busy", "bytes"),
    Figure("rank", "/rank/{random} / bytes ceiling", 0.7, 0.85, "rank", "bytes"),
    Figure("around", "/around/{random}?radius=5 / bytes ceiling", 0.45, 0.6, "around", "bytes"),
    Figure("week-top", "/top of the week / of all time", 0.9, 1.0, "week-top", "top"),
    Figure("week-rank", "/rank of the week / of all time", 0.9, 1.0, "week-rank", "rank"),
    Figure("week-around", "/around of the week / of all time", 0.9, 1.0, "week-around", "around"),
    Figure("past-rank", "/rank of a past day / of all time", 0.9, 1.0, "past-rank", "rank"),
    Figure("submit-only", "/submit over 200 players, one place / body-and-token ceiling", 1.15, 1.4, "submit-only", "checked"),
    Figure("submit", "/submit over 200 players, three places / body-and-token ceiling", 0.85, 1.1, "submit", "checked"),
    Figure(
        "submit-eight", "/submit over 200 players, eight places / body-and-token ceiling", 0.5, 0.7, "submit-eight", "checked"
    ),
    Figure("submit-one", "/submit of one player / over 200 players", 0.9, 1.0, "submit-one", "submit"),
    Figure("me", "/auth/me over 200 users / body-and-token ceiling", 0.6, 1.0, "me", "checked"),
    Figure("submit-key", "/submit with an Idempotency-Key / without", of="submit-key", against="submit"),
    Figure("bare-top", "/top / bare ASGI application", aim=0.6, of="top", against="bare"),
    Figure("bare-rank", "/rank/{random} / bare ASGI application", aim=0.5, of="rank", against="bare"),
)

GATEWAY = (
    Figure("gateway-top", "/top through Traefik / bytes ceiling, direct", of="gateway-top", against="bytes"),
    Figure("gateway-rank", "/rank/{random} through Traefik / bytes ceiling, direct", of="gateway-rank", against="bytes"),
    Figure("gateway-around", "/around/{random} through Traefik / bytes ceiling, direct", of="gateway-around", against="bytes"),
    Figure(
        "gateway-submit", "/submit through Traefik / body-and-token ceiling, direct", of="gateway-submit", against="checked"
    ),
    Figure(
        "gateway-bare-top", "/top / bare ASGI application, both through Traefik", of="gateway-top", against="gateway-bare-read"
    ),
    Figure(
        "gateway-bare-rank",
        "/rank/{random} / bare ASGI application, both through Traefik",
        of="gateway-rank",
        against="gateway-bare-read",
    ),
    Figure(
        "gateway-bare-submit",
        "/submit / bare ASGI application, both through Traefik",
        of="gateway-submit",
        against="gateway-bare-write",
    ),
)

PERIODS = (
    Figure("past-cold", "First /rank of a past day with all players, no index yet", 50, unit="ms", less_is_better=True),
    Figure(
        "midnight",
        "Slowest of 200 /submit a second while two windows start anew",
        250,
        100,
        unit="ms",
        less_is_better=True,
    ),
)

BATCHES = (
    Figure("batches", "Scores a second that game servers submit, 1,000 in a call, one place", 5_000, 10_000, unit="a second"),
    Figure("batches-three", "The same, three places", unit="a second"),
    Figure("submit-alone", "/submit p99 at 200 a second", unit="ms", less_is_better=True),
    Figure(
        "submit-beside",
        "The same beside 2,000 scores a second of game servers / alone",
        2,
        1.5,
        less_is_better=True,
    ),
    Figure("submit-full", "The same beside as many as they can submit", 100, 50, unit="ms", less_is_better=True),
)

LIVE = (
    Figure(
        "live-shown",
        "Acknowledged to shown to 2,000 streams p99, 200 /submit a second",
        600,
        400,
        unit="ms",
        less_is_better=True,
    ),
    Figure("live-own", "Acknowledged to shown as one's own rank p99", unit="ms", less_is_better=True),
    Figure("live-submit", "/submit p99 beside 2,000 streams / without", 1.5, 1.2, less_is_better=True),
    Figure("live-memory", "Memory of a stream, 2,000 on one process", 25_000, 20_000, unit="bytes", less_is_better=True),
)

IDENTITY = (
    Figure(
        "login-oracle",
        "Known name or not, told by a wrong password's time: |area − ½|",
        0.05,
        0.03,
        unit="area",
        less_is_better=True,
    ),
    Figure("delay-oracle", "The same during a delay", 0.05, 0.03, unit="area", less_is_better=True),
    Figure("me-logins", "/auth/me p99 during 64 logins at once", 250, 100, unit="ms", less_is_better=True),
    Figure("logins-seconds", "64 logins at once, until the last answer", unit="s", less_is_better=True),
    Figure("logins-memory", "Most memory of the auth process", 256, 192, unit="MiB", less_is_better=True),
)

# What a well-known Go server on PostgreSQL does on a machine like the reference, which it has to itself: floors, but for
# submissions of many players. Since a session may count in many places, which a submission locks, those have the floor of one
# process, and what that server does is told in the title.
_RIVAL = {"top": 0.65, "rank": 0.42, "submit-only": 1.45, "submit-one": 0.3}
_BOX_FLOORS = _RIVAL | {"submit-only": 1.15}
_BOX_TITLES = {
    "top": "/top / bytes ceiling",
    "rank": "/rank/{random} / bytes ceiling",
    "submit-only": f"/submit over 200 players, one place / body-and-token ceiling (that Go server: {_RIVAL['submit-only']})",
    "submit-one": "/submit of one player / body-and-token ceiling",
}
BOX_LOADS = tuple(_RIVAL)

# What is judged is one board; three places at once are told beside it.
_SCALED = {"rank": "/rank", "submit-only": "/submit, one place,", "submit": "/submit, three places,", "around": "/around"}
SCALE_LOADS = tuple(_SCALED)

NUMBERS = {
    "number-rank": "/boards/…/rank/{random}",
    "number-score": "/boards/…/rank/score/{random}",
    "number-ranks": "/boards/…/ranks of 200 players",
    "number-distribution": "/boards/…/distribution",
}
"""The numbers of a screen, by the names of their figures."""


def at(load: str, processes: int) -> str:
    """The name of a load on so many service processes."""
    return f"{load}-x{processes}"


def box_figures(best: int, counts: Sequence[int]) -> list[Figure]:
    """The whole machine against one process of the ceiling, with the number of processes that serves it ``best``."""
    box = [
        Figure(f"box-{load}", f"{_BOX_TITLES[load]}, {_processes(best)}", floor, None, at(load, best), _ceiling_of(load))
        for load, floor in _BOX_FLOORS.items()
    ]
    return box + [
        Figure(f"rank-x{count}", f"/rank/{{random}}, {_processes(count)} / one", of=at("rank", count), against=at("rank", 1))
        for count in counts
        if count > 1
    ]


def scale_figures(few: int, many: int) -> list[Figure]:
    """What ``many`` players cost beside ``few``. The marks are meant for a million beside ten thousand."""
    judged = {"rank", "submit-only", "around"}
    return [
        *(
            Figure(
                f"scale-{load}",
                f"{title} at {many:,} players / at {few:,}",
                0.9 if load in judged else None,
                0.95 if load in judged else None,
                f"{load}-many",
                f"{load}-few",
            )
            for load, title in _SCALED.items()
        ),
        Figure("rebuild", f"Rebuild of {many:,} players", 45, 20, unit="s", less_is_better=True),
        Figure("index-bytes", f"Index bytes a player at {many:,}", 215, 200, unit="bytes", less_is_better=True),
        Figure("settle", f"A period's end to its results, {many:,} players", unit="s", less_is_better=True),
        Figure("settle-memory", "Most memory of the process that settled it", unit="MiB", less_is_better=True),
        Figure("void", f"Voiding a session, {many:,} players", unit="ms", less_is_better=True),
        *(
            Figure(name, f"{title} p99 at 200 a second, {many:,} players", 30, 15, unit="ms", less_is_better=True)
            for name, title in NUMBERS.items()
        ),
        Figure(
            "ranks-redis", f"Redis' work for {NUMBERS['number-ranks']}, {many:,} players", 5, 3, unit="ms", less_is_better=True
        ),
    ]


def player_figures(many: int) -> list[Figure]:
    """What is asked about players, 200 times a second, while ``many`` are ranked. The marks are meant for a million."""
    asked = {
        "player-search": "Players by what their names begin with",
        "player-profile": "/players/{random}",
        "player-best": "/players/{random}/best",
    }
    return [
        Figure(name, f"{title}, 99 of 100 within, {many:,} players", 30, unit="ms", less_is_better=True)
        for name, title in asked.items()
    ]


def boards_figures(few: int, many: int, used: int) -> list[Figure]:
    """What ``many`` boards cost, of which ``used`` ones are played on. The marks are meant for ten thousand, and a thousand."""
    ready = "Start of a process until it is ready"
    return [
        Figure(
            "many-tag",
            f"/submit that a board takes by a tag / that names it, {many:,} boards",
            0.9,
            1.0,
            "many-tag",
            "many-name",
        ),
        Figure(
            "many-round",
            f"Follower's look for what Redis was not told, {many:,} boards, {used:,} used",
            10,
            unit="ms",
            less_is_better=True,
        ),
        Figure("many-start", f"{ready}, {many:,} boards", 2, unit="s", less_is_better=True),
        Figure("few-start", f"{ready}, {few} boards", unit="s", less_is_better=True),
    ]


def best_count(rates: Mapping[str, Sequence[float]], counts: Sequence[int]) -> int:
    """The number of processes that serves the machine best: the greatest product of the medians of the loads."""

    def worth(count: int) -> float:
        product = 1.0
        for load in BOX_LOADS:
            product *= median(rates.get(at(load, count)) or (1.0,))
        return product

    return max(counts, key=worth)


def judge(figure: Figure, values: Sequence[float], without: Verdict = Verdict.MISSING) -> Outcome:
    """How the figure stands with ``values``, one a round; ``without`` any, it is that."""
    if not values:
        return Outcome(figure, without)
    value = median(values)
    sign = -1 if figure.less_is_better else 1

    def reaches(mark: float | None) -> bool:
        return mark is not None and sign * value >= sign * mark

    if figure.floor is not None and not reaches(figure.floor):
        verdict = Verdict.BELOW
    elif reaches(figure.aim):
        verdict = Verdict.AIM
    else:
        verdict = Verdict.TOLD if figure.floor is None else Verdict.FLOOR
    return Outcome(figure, verdict, value, min(values), max(values))


def judge_ratio(figure: Figure, rates: Mapping[str, Sequence[float]]) -> Outcome:
    """How a ratio stands, given the answers a second of each load by round: none for one that failed."""
    of, against = rates.get(figure.of), rates.get(figure.against)
    if of is None or against is None:
        return judge(figure, (), Verdict.MISSING)
    return judge(figure, [one / other for one, other in zip(of, against, strict=False)], Verdict.FAILED)


def _processes(count: int) -> str:
    return f"{count} processes" if count > 1 else "1 process"


def _ceiling_of(load: str) -> str:
    return "checked" if load.startswith("submit") else "bytes"
