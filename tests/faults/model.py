"""What the system must say, in plain Python: the definitions, the long way, and nothing of the system's code.

Boards and windows are read from the files that people write. Periods are known by what MySQL has of them, and held to be the
minutes, days and weeks that the file says.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from services.leaderboard.operate.boards import DEFAULT

# Who stands high is rewarded, who shares a rank shares the reward, and nobody goes away with nothing.
REWARDS = """rewards = [
  { name = "gold", ranks = [1, 3] }, { name = "silver", percent = 50 }, { name = "present", everyone = true } ]"""
_MINUTES = f'every = "60 seconds", grace = 10, {REWARDS}'
# Of each aggregate and direction one, by rule and by name. Some window starts anew every ten seconds.
BOARDS = f"""
[[boards]]
name = "alps"
aggregate = "best"
direction = "ascending"
rule = {{ where = {{ track = "alps" }} }}
min_score = -1000
max_score = 1000
show_extra = true
windows = [
  {{ name = "all" }},
  {{ name = "minute", first = 2026-01-01T00:00:10Z, {_MINUTES} }},
  {{ name = "other", first = 2026-01-01T00:00:40Z, {_MINUTES} }},
]

[[boards]]
name = "peak"
aggregate = "best"
direction = "descending"
min_score = -1000
windows = [{{ name = "minute", first = 2026-01-01T00:00:20Z, {_MINUTES} }}, {{ name = "all" }}]

[[boards]]
name = "rush"
metric = "laps"
aggregate = "total"
direction = "ascending"
rule = {{ where = {{}} }}
windows = [{{ name = "minute", first = 2026-01-01T00:00:00Z, {_MINUTES} }}, {{ name = "all" }}]

[[boards]]
name = "form"
metric = "laps"
aggregate = "latest"
direction = "descending"
rule = {{ where = {{ track = "alps" }} }}
min_score = -1000
show_extra = true
windows = [{{ name = "minute", first = 2026-01-01T00:00:30Z, {_MINUTES} }}, {{ name = "day" }}]

[[boards]]
name = "hill"
aggregate = "latest"
direction = "ascending"
min_score = -1000
windows = [{{ name = "all" }}, {{ name = "minute", first = 2026-01-01T00:00:50Z, {_MINUTES} }}]
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_USUAL = {
    "all": (None, None),
    "day": (_EPOCH, timedelta(days=1)),
    "week": (_EPOCH + timedelta(days=4), timedelta(days=7)),  # from a Monday on
}


class Window(NamedTuple):
    """A window, and when its first period begins. Without a length it never ends, or its periods are written down."""

    name: str
    first: datetime | None
    length: timedelta | None

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "Window":
        if "every" in written:
            return cls(written["name"], written["first"], timedelta(seconds=int(written["every"].split()[0])))
        return cls(written["name"], *((None, None) if written.get("listed") else _USUAL[written["name"]]))

    def start(self, time: datetime) -> datetime | None:
        """When the period begins that ``time`` is in."""
        if self.first is None or self.length is None:
            return None
        return time - (time - self.first) % self.length


class Board(NamedTuple):
    """A board as a file has it."""

    name: str
    metric: str
    aggregate: str
    ascending: bool
    where: Mapping[str, str] | None
    least: int
    most: int
    shows_extra: bool
    windows: Sequence[Window]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "Board":
        return cls(
            written["name"],
            written.get("metric", "score"),
            written["aggregate"],
            written["direction"] == "ascending",
            written["rule"]["where"] if "rule" in written else None,
            written.get("min_score", 0),
            written.get("max_score", 1_000_000_000),
            written.get("show_extra", False),
            [Window.of(each) for each in written["windows"]],
        )

    def value(self, body: Mapping[str, Any]) -> int | None:
        """What a session is worth here."""
        value: int | None = body["score"] if self.metric == "score" else body.get("metrics", {}).get(self.metric)
        return value

    def takes(self, body: Mapping[str, Any]) -> bool:
        value = self.value(body)
        return value is not None and self.least <= value <= self.most

    def asks(self, body: Mapping[str, Any]) -> bool:
        """Whether its rule asks for a session that names no board, whatever that is worth."""
        return self.where is not None and self.where.items() <= body.get("tags", {}).items() and self.value(body) is not None


def read_boards(file: str) -> list[Board]:
    """Main, and the boards that a file has."""
    return [Board.of(each) for text in (DEFAULT.read_text(encoding="utf-8"), file) for each in tomllib.loads(text)["boards"]]


class Period(NamedTuple):
    """A period that MySQL has a row of."""

    period_id: int
    board: str
    window: str
    starts_at: datetime
    ends_at: datetime


class Asked(NamedTuple):
    """A place as it is asked for: ``period`` is ``current``, ``previous`` or an id."""

    board: str
    window: str
    period: str


class Place(NamedTuple):
    """A period of a window of a board; 0 is all time."""

    board: str
    window: str
    period_id: int

    @property
    def asked(self) -> Asked:
        """As it is asked for by its id, whatever time it is."""
        return Asked(self.board, self.window, str(self.period_id))


@dataclass(frozen=True)
class Session:
    """A session, and where it counts."""

    session_id: int
    user: int
    body: Mapping[str, Any] = field(hash=False)
    places: frozenset[Place]


def fold(board: Board, sessions: Sequence[Session]) -> tuple[int, int]:
    """What some sessions, which come in the order of their ids, are worth together, and the one that reached it."""
    values = [(session.session_id, board.value(session.body) or 0) for session in sessions]
    if board.aggregate == "latest":
        session_id, value = values[-1]
        return value, session_id
    if board.aggregate == "best":
        best = (min if board.ascending else max)(value for _, value in values)
        return best, next(session_id for session_id, value in values if value == best)
    changing = [session_id for session_id, value in values if value]
    return sum(value for _, value in values), changing[-1] if changing else values[0][0]


class Result(NamedTuple):
    """How a player stands when a period is settled, and what for."""

    rank: int
    user: int
    score: int
    reward: str | None


def settle(board: Board, by_player: Mapping[int, Sequence[Session]]) -> list[Result]:
    """What a period comes to in which these sessions count, with `REWARDS`: in the board's order."""
    sign = 1 if board.ascending else -1
    folded = [(*fold(board, sessions), user) for user, sessions in by_player.items() if sessions]
    folded.sort(key=lambda each: (sign * each[0], each[1]))
    results = []
    for score, _, user in folded:
        rank = 1 + sum(sign * other < sign * score for other, *_ in folded)
        reward = "gold" if rank <= 3 else "silver" if 2 * rank <= len(folded) + 1 else "present"
        results.append(Result(rank, user, score, reward))
    return results


class Model:
    """The sessions of each player, what is voided, who is banned, the names, the periods that there are, and nothing else."""

    def __init__(self, users: Sequence[int]) -> None:
        self.boards = {board.name: board for board in read_boards(BOARDS)}
        self.windows = [(board, window) for board in self.boards.values() for window in board.windows]
        self.users = users
        self.sessions: dict[int, list[Session]] = {user: [] for user in users}
        self.keys: dict[tuple[int, str], Session] = {}
        self.erased: set[tuple[int, str]] = set()
        self.voided: set[int] = set()
        self.banned: set[int] = set()
        self.names = {user: f"model{user}" for user in users}
        """What tokens say."""
        self.shown: dict[int, str] = {}
        """What boards say."""
        self.periods: dict[int, Period] = {}

    # What counts where.

    def taking(self, body: Mapping[str, Any]) -> list[Board] | None:
        """The boards where a session counts. None: it is refused."""
        named = body.get("boards")
        if named is not None:
            boards = [self.boards[name] for name in named]
            return boards if all(board.takes(body) for board in boards) else None
        asking = [board for board in self.boards.values() if board.asks(body)]
        boards = [board for board in asking if board.takes(body)]
        return boards if boards or not asking else None

    def add(self, session: Session) -> None:
        """A session was answered that is stored."""
        self.sessions[session.user].append(session)
        self.shown[session.user] = self.names[session.user]

    def remove(self, user: int) -> None:
        """A player has left. A ban stays."""
        self.voided -= {session.session_id for session in self.sessions[user]}
        self.sessions[user] = []
        self.erased |= {identity for identity in self.keys if identity[0] == user}
        self.keys = {identity: kept for identity, kept in self.keys.items() if identity[0] != user}

    def counted(self, user: int, place: Place) -> list[Session]:
        """The sessions of a player that count in a place."""
        if user in self.banned:
            return []
        return [each for each in self.sessions[user] if place in each.places and each.session_id not in self.voided]

    # Periods.

    def know(self, period: Period) -> None:
        """MySQL has another period: it must be one of its window's, and the only one of that time."""
        window = self.window(period.board, period.window)
        assert window.length is not None
        assert (period.starts_at, period.ends_at) == (window.start(period.starts_at), period.starts_at + window.length), period
        assert self.period(period.board, window, period.starts_at) is None, period
        self.periods[period.period_id] = period

    def window(self, board: str, name: str) -> Window:
        return next(window for window in self.boards[board].windows if window.name == name)

    def period(self, board: str, window: Window, time: datetime) -> Period | None:
        """The period of a window that ``time`` is in, if there is one already."""
        start = window.start(time)
        return next((each for each in self._of(board, window.name) if each.starts_at == start), None)

    def next_start(self, time: datetime) -> datetime:
        """When the next window starts anew."""
        starts = [(window.start(time), window.length) for _, window in self.windows]
        return min(start + length for start, length in starts if start is not None and length is not None)

    def place(self, asked: Asked, time: datetime) -> Place | None:
        """Which place is meant by what is asked for at that time. None: nobody has played there."""
        window = self.window(asked.board, asked.window)
        if asked.period.isdecimal() or window.length is None:
            return Place(asked.board, asked.window, int(asked.period) if asked.period.isdecimal() else 0)
        current = self.period(asked.board, window, time)
        if asked.period == "current":
            return current and Place(asked.board, asked.window, current.period_id)
        before = current.starts_at if current else time
        earlier = [each for each in self._of(asked.board, asked.window) if each.starts_at < before]
        last = max(earlier, key=lambda each: each.starts_at, default=None)
        return last and Place(asked.board, asked.window, last.period_id)

    def has_ended(self, place: Place, time: datetime) -> bool:
        return bool(place.period_id) and self.periods[place.period_id].ends_at <= time

    def periods_of(self, board: str, window: str) -> list[Period]:
        """All that there are of a window, newest first."""
        return sorted(self._of(board, window), key=lambda each: each.starts_at, reverse=True)

    def _of(self, board: str, window: str) -> list[Period]:
        return [each for each in self.periods.values() if (each.board, each.window) == (board, window)]

    # Who stands where.

    def places(self) -> list[Place]:
        """Everywhere that somebody has played."""
        return sorted({place for sessions in self.sessions.values() for session in sessions for place in session.places})

    def rows(self, place: Place | None) -> list[dict[str, Any]]:
        """Everyone in a place, in order, with ranks."""
        if place is None:
            return []
        board = self.boards[place.board]
        standings = {user: fold(board, counted) for user in self.users if (counted := self.counted(user, place))}
        sign = 1 if board.ascending else -1
        rows = []
        for user, (score, reached) in sorted(standings.items(), key=lambda each: (sign * each[1][0], each[1][1])):
            rank = 1 + sum(sign * other < sign * score for other, _ in standings.values())
            row = {"rank": rank, "user_id": user, "username": self.shown[user], "score": score}
            extra = next(session.body.get("extra") for session in self.sessions[user] if session.session_id == reached)
            rows.append(row | {"extra": extra} if board.shows_extra and extra is not None else row)
        return rows

    def own(self, place: Place | None, user: int) -> dict[str, Any]:
        """A player's own row: of one who is not there, by the name that the token carries."""
        nobody = {"rank": None, "user_id": user, "username": self.names[user], "score": None}
        return next((row for row in self.rows(place) if row["user_id"] == user), nobody)

    def reached(self, place: Place, user: int) -> int | None:
        """The session that reached a player's score. None: the player is not there."""
        counted = self.counted(user, place)
        return fold(self.boards[place.board], counted)[1] if counted else None

    def results(self, place: Place) -> list[Result]:
        """What a period would come to now."""
        return settle(self.boards[place.board], {user: self.counted(user, place) for user in self.users})

    def standings(self, user: int) -> dict[Place, tuple[int, int, int]]:
        """Everywhere that a player is ranked: the score, of how many sessions, and the one that reached it."""
        found = {}
        for place in {place for session in self.sessions[user] for place in session.places}:
            if counted := self.counted(user, place):
                score, reached = fold(self.boards[place.board], counted)
                found[place] = score, len(counted), reached
        return found
