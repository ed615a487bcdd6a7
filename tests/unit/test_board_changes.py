"""What may change about a board, and what may not."""

from dataclasses import replace
from typing import Any

import pytest

from services.leaderboard.boards.board import USUAL, Board, Definition, Rule, Window, WindowDefinition
from services.leaderboard.boards.change import compare
from services.leaderboard.rules.holds import Hold
from services.leaderboard.rules.rewards import Reward

ALL = WindowDefinition("all")
WEEK = WindowDefinition("week", USUAL["week"], grace_seconds=60)
DAY = WindowDefinition("day", USUAL["day"], grace_seconds=60)
CUP = Definition("cup", "", "score", "best", "descending", None, 0, 100, False, "players", "active", (ALL, WEEK))
STORED = Board(7, 1, CUP, tuple(Window(number, window, None) for number, window in enumerate(CUP.windows)))


def test_a_board_that_is_not_there_is_created_with_its_windows() -> None:
    change = compare(CUP, None)
    assert (change.outcome, change.added, change.conflicts) == ("created", (ALL, WEEK), ())
    assert change.tell("would be ") == "cup: would be created"


def test_the_same_again_changes_nothing() -> None:
    change = compare(CUP, STORED)
    assert (change.outcome, change.added, change.conflicts) == ("unchanged", (), ())
    assert change.tell("would be ") == "cup: unchanged"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"title": "The cup"}, "title '' → 'The cup'"),
        ({"rule": Rule(("track", "alps"))}, "rule None → {'where': {'track': 'alps'}}"),
        ({"min_score": -5}, "min_score 0 → -5"),
        ({"max_score": 7}, "max_score 100 → 7"),
        ({"show_extra": True}, "show_extra False → True"),
        ({"submitters": "servers"}, "submitters 'players' → 'servers'"),
        ({"hold": Hold(5)}, "hold None → {'score_over': 5}"),
        ({"state": "closed"}, "state 'active' → 'closed'"),
        ({"windows": (ALL, WEEK, DAY)}, "window day added"),
        (
            {"windows": (ALL, replace(WEEK, rewards=(Reward("gold", ranks=(1, 3)), Reward("rest"))))},
            "window week: rewards None → [{'name': 'gold', 'ranks': [1, 3]}, {'name': 'rest', 'everyone': True}]",
        ),
    ],
)
def test_what_may_change_is_told(fields: dict[str, Any], told: str) -> None:
    change = compare(replace(CUP, **fields), STORED)
    assert (change.outcome, change.differences, change.conflicts) == ("changed", (told,), ())
    assert change.tell() == f"cup: changed: {told}"


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"metric": "laps"}, [("metric",)]),
        ({"aggregate": "latest"}, [("aggregate",)]),
        ({"direction": "ascending", "metric": "laps"}, [("metric",), ("direction",)]),
        ({"windows": (ALL,)}, [("windows",)]),
        ({"windows": (WEEK, ALL)}, [("windows",)]),
        ({"windows": (ALL, DAY, WEEK)}, [("windows",)]),
        ({"windows": (ALL, replace(WEEK, grace_seconds=61))}, [("windows", 1)]),
        ({"windows": (ALL, replace(WEEK, keep=5))}, [("windows", 1)]),
        ({"windows": (ALL, replace(WEEK, keep=5, rewards=(Reward("rest"),)))}, [("windows", 1)]),
        ({"windows": (ALL, replace(WEEK, schedule=USUAL["day"]))}, [("windows", 1)]),
        ({"windows": (ALL, replace(WEEK, schedule=None, listed=True))}, [("windows", 1)]),
        ({"windows": (DAY,)}, [("windows",), ("windows",)]),
    ],
)
def test_what_is_fixed_is_a_conflict_with_its_place(fields: dict[str, Any], where: list[tuple[str | int, ...]]) -> None:
    change = compare(replace(CUP, **fields), STORED)
    assert [conflict.at for conflict in change.conflicts] == where
