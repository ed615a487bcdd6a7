"""What the end of a period costs with everybody in it, and what it costs to take a session out of every ranking."""

import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import pymysql

from services.common.tokens import Scope
from services.leaderboard.boards.board import WindowDefinition
from services.leaderboard.http.dependencies import PREFIX
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.rules.places import Place
from services.leaderboard.rules.rewards import Reward
from tests.bench.machine import most_memory
from tests.bench.system import FIRST, System, define

SEASON = "season"
_VOIDS = 100
_PATIENCE_SECONDS = 120
_DAY = WindowDefinition(
    "day",
    Schedule(FIRST, 1, "days"),
    grace_seconds=60,
    rewards=(Reward("gold", ranks=(1, 3)), Reward("silver", percent=10), Reward("present")),
)


def time_season(system: System, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Settle a period with all players in it, and void sessions of some of them: what that took, by the name of the figure.

    Raises TimeoutError and httpx.HTTPError.
    """
    system.put_boards([replace(define(SEASON), windows=(_DAY,))])
    with system.target.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO periods (board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " SELECT board_id, id, 0, NOW() - INTERVAL 2 DAY, NOW() - INTERVAL 1 DAY, NOW() + INTERVAL 1 DAY, 'open'"
            " FROM windows WHERE board_id = %s",
            (system.board_id(SEASON),),
        )
        at = Place(system.board_id(SEASON), int(cursor.lastrowid))
        connection.commit()
        tell("Filling a period that is to be settled")
        system.crowd(at)
        tell("Settling it")
        settled = _time_settling(connection, at)
        cursor.execute("SELECT id FROM game_sessions ORDER BY CRC32(id) LIMIT %s", (_VOIDS,))
        session_ids = [session_id for (session_id,) in cursor.fetchall()]
    memory = most_memory(system.stack.leaderboard.pid) / 2**20
    tell(f"Voiding {_VOIDS} sessions")
    return {"settle": [settled], "settle-memory": [memory], "void": _time_voids(system, session_ids)}


def _time_settling(connection: "pymysql.Connection[pymysql.cursors.Cursor]", at: Place) -> float:
    """Seconds from the end of a period until its results are there: the service looks once a second."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE periods SET closes_at = NOW(6) WHERE id = %s", (at.period_id,))
        connection.commit()
        while time.monotonic() - began < _PATIENCE_SECONDS:
            cursor.execute("SELECT state FROM periods WHERE id = %s", (at.period_id,))
            [state] = cursor.fetchone() or [None]
            connection.commit()
            if state == "settled":
                return time.monotonic() - began
            time.sleep(0.02)
    raise TimeoutError(f"A period was not settled within {_PATIENCE_SECONDS} s")


def _time_voids(system: System, session_ids: list[int]) -> list[float]:
    """Milliseconds of each, one after the other, until it counts nowhere and its player's ranks are known."""
    caller = {"Authorization": f"Bearer {system.key_token(Scope.MODERATE)}"}
    taken = []
    with httpx.Client(base_url=f"{system.url}{PREFIX}", headers=caller, timeout=30) as client:
        for session_id in session_ids:
            began = time.perf_counter()
            client.post(f"/sessions/{session_id}/void", json={"reason": "measured"}).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
    return taken
