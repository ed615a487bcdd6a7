"""Players who submit without pause, and what became of their sessions: where they count, and what standings make of them."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import count, cycle
from typing import Any, NamedTuple

import httpx

from services.leaderboard.rules.places import unpack
from tests.faults.model import Period, Place, Session, fold, read_boards
from tests.faults.proofs import Proof
from tests.faults.subject import DOUBT, now, read_periods
from tests.playing import get, send
from tests.system import Accounts, rows

# Some window starts anew every fifteen seconds.
BOARDS = """
[[boards]]
name = "kills.sprint"
aggregate = "total"
direction = "descending"
windows = [
  { name = "all" },
  { name = "minute", first = 2026-01-01T00:00:00Z, every = "60 seconds" },
  { name = "other", first = 2026-01-01T00:00:30Z, every = "60 seconds" },
]

[[boards]]
name = "kills.cup"
aggregate = "best"
direction = "ascending"
rule = { where = { track = "kills" } }
windows = [
  { name = "minute", first = 2026-01-01T00:00:15Z, every = "60 seconds" },
  { name = "other", first = 2026-01-01T00:00:45Z, every = "60 seconds" },
]
"""
ROLLOVER_SECONDS = 15
AT_ONCE = 2
"""Sessions of one player: so some are counted together, and another comes meanwhile."""
# By turns they count on the first one by its name, and by rule on the other and on main.
_SAID: list[dict[str, Any]] = [{"boards": ["kills.sprint"]}, {"tags": {"track": "kills"}}]
_COUNTING = {board.name: board for board in read_boards(BOARDS)}
_SESSIONS = "SELECT id, user_id, score, places FROM game_sessions WHERE user_id BETWEEN %s AND %s ORDER BY id"
_STANDINGS = """
SELECT b.name, s.period_id, s.user_id, s.score, s.sessions, s.reached_session_id
FROM standings AS s JOIN boards AS b ON b.id = s.board_id WHERE s.user_id BETWEEN %s AND %s"""


class Standing(NamedTuple):
    """How a player stands in a place: the score, of how many sessions, and the one that reached it."""

    place: Place
    user: int
    score: int
    sessions: int
    reached: int


class Acknowledged(NamedTuple):
    """A session that was answered, and when it was sent and answered."""

    session: Session
    sent: datetime
    answered: datetime

    def is_of_its_time(self, periods: Mapping[int, Period]) -> bool:
        """Whether it counts in the periods that went on when it was received."""
        for board, name, period_id in self.session.places:
            window = next(each for each in _COUNTING[board].windows if each.name == name)
            right = window.start(self.sent - DOUBT), window.start(self.answered + DOUBT)
            if (periods[period_id].starts_at if period_id else None) not in right:
                return False
        return True


class Load:
    """Players who submit, each two sessions at a time, until the process does not answer any more."""

    def __init__(self, accounts: Accounts, first_id: int, players: int = 8) -> None:
        self.user_ids = range(first_id, first_id + players)
        self.acknowledged: list[Acknowledged] = []
        self.warm = asyncio.Event()
        self._headers = {user_id: accounts.new(user_id=user_id) for user_id in self.user_ids}

    async def run(self, url: str) -> None:
        async with httpx.AsyncClient(base_url=url) as client, asyncio.TaskGroup() as playing:
            for user_id in self.user_ids:
                for _ in range(AT_ONCE):
                    playing.create_task(self._play(client, user_id))

    async def watch(self, url: str) -> None:
        """Look at every place again and again, by another process: so each has an index to be told of what is stored."""
        windows = [(board.name, window.name) for board in _COUNTING.values() for window in board.windows]
        async with httpx.AsyncClient(base_url=url) as client:
            for board, window in cycle(windows):
                await get(client, f"boards/{board}/top?window={window}")
                await asyncio.sleep(0.02)  # it is the others who are to be busy

    async def _play(self, client: httpx.AsyncClient, user_id: int) -> None:
        for number in count(user_id):
            score = 5 * number % 7
            sent = now()
            try:
                answer = await send(client, self._headers[user_id], score, **_SAID[number % len(_SAID)])
            except httpx.TransportError:
                return
            assert answer.status_code == 201, answer.text
            told = answer.json()
            named = [Place(each["board"], each["window"], each["period_id"]) for each in told["standings"]]
            assert len(set(named)) == len(named)
            session = Session(told["session_id"], user_id, {"score": score}, frozenset(named))
            self.acknowledged.append(Acknowledged(session, sent, now()))
            if len(self.acknowledged) >= 20 * len(self.user_ids):
                self.warm.set()

    def is_counted_once(self, connection: Any, proof: Proof) -> int:
        """Hold what is stored of these players against what was answered. Gives how many sessions were not."""
        rows(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.begin()  # all tables as they are at one moment
        periods = {period.period_id: period for period in read_periods(connection)}
        stored = self._read_sessions(connection, periods)
        standings = self._read_standings(connection, periods)
        answered = {session.session_id: session for session, *_ in self.acknowledged}
        proof.did("sessions acknowledged", len(self.acknowledged))
        proof.did("places that they count in", len({standing.place for standing in standings}))
        proof.find("acknowledged sessions lost", answered.keys() - stored.keys())
        proof.find("sessions acknowledged twice", range(len(self.acknowledged) - len(answered)))
        proof.find("sessions that count in other places than were answered", set(answered.values()) - set(stored.values()))
        wrong = [each for each in self.acknowledged if not each.is_of_its_time(periods)]
        proof.find("sessions that count in a period of another time", wrong)
        proof.find("standings that are not the fold of their sessions", standings ^ _fold(stored.values()))
        return len(stored) - len(answered)

    def _read_sessions(self, connection: Any, periods: Mapping[int, Period]) -> dict[int, Session]:
        """What is stored of them, by ids."""
        names = dict(rows(connection, "SELECT id, name FROM boards"))
        found = {}
        for session_id, user_id, score, packed in rows(connection, _SESSIONS, self.user_ids[0], self.user_ids[-1]):
            places = frozenset(_place(names[board_id], period_id, periods) for board_id, period_id in unpack(packed))
            found[session_id] = Session(session_id, user_id, {"score": score}, places)
        return found

    def _read_standings(self, connection: Any, periods: Mapping[int, Period]) -> set[Standing]:
        kept = rows(connection, _STANDINGS, self.user_ids[0], self.user_ids[-1])
        return {Standing(_place(board, period_id, periods), *standing) for board, period_id, *standing in kept}


def _fold(sessions: Collection[Session]) -> set[Standing]:
    counted: dict[tuple[Place, int], list[Session]] = {}
    for session in sessions:
        for place in session.places:
            counted.setdefault((place, session.user), []).append(session)
    standings = set()
    for (place, user), each in counted.items():
        score, reached = fold(_COUNTING[place.board], each)
        standings.add(Standing(place, user, score, len(each), reached))
    return standings


def _place(board: str, period_id: int, periods: Mapping[int, Period]) -> Place:
    return Place(board, periods[period_id].window if period_id else "all", period_id)
