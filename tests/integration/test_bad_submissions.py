"""A session that is not well formed, or that no board takes, gets a 422 that points at what is wrong. Nothing is stored."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.boards.board import Rule
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, WEEK, define, make, tagged
from tests.playing import API
from tests.system import Accounts, assert_problem, rows, serving

TABLES = "game_sessions", "session_extras", "standings", "players", "outbox"
MAIN = define("main", aggregate="total", rule=Rule(), max_score=1000, windows=(ALL,))
BOARDS = [
    MAIN,
    tagged("alps", "alps", min_score=-10, max_score=2000, windows=(ALL, DAY)),
    tagged("fjord", "fjord", min_score=5, max_score=50, windows=(ALL,)),
    define("closed", state="closed"),
    define("laps", metric="laps", direction="ascending", min_score=1, max_score=99, windows=(ALL,)),
    define("a" * 64, windows=(ALL,)),
    *(define(f"level.{number:02d}", windows=(ALL, DAY, WEEK)) for number in range(25)),
]
DEEP = "[" * 29 + "1" + "]" * 29


@pytest.fixture
async def service(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: object
) -> AsyncIterator[httpx.AsyncClient]:
    """The service, on a database with boards that take little."""
    await make(leaderboard_database, *BOARDS)
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


def levels(how_many: int) -> list[str]:
    return [f"level.{number:02d}" for number in range(how_many)]


def named(how_many: int, value: object) -> dict[str, object]:
    return {f"m{number}": value for number in range(how_many)}


# What is sent, and what is pointed at.
BAD: dict[str, tuple[dict[str, Any] | str, str]] = {
    "an unknown board": ({"score": 5, "boards": ["nowhere"]}, "#/boards/0"),
    "an unknown board beside one": ({"score": 5, "boards": ["main", "nowhere"]}, "#/boards/1"),
    "a closed board": ({"score": 5, "boards": ["closed"]}, "#/boards/0"),
    "no metric that a named board needs": ({"score": 5, "boards": ["laps"]}, "#/metrics"),
    "nor beside others": ({"score": 5, "boards": ["laps"], "metrics": {"hits": 1}}, "#/metrics"),
    "a metric beyond a named board's bounds": ({"score": 5, "boards": ["laps"], "metrics": {"laps": 100}}, "#/metrics/laps"),
    "a metric below them": ({"score": 5, "boards": ["laps"], "metrics": {"laps": 0}}, "#/metrics/laps"),
    "a score beyond a named board's": ({"score": 1001, "boards": ["main"]}, "#/score"),
    "beyond one of two": ({"score": 1001, "boards": ["alps", "main"]}, "#/score"),
    "below a named board's": ({"score": 4, "boards": ["fjord"]}, "#/score"),
    "beyond those of every board": ({"score": 2001, "tags": {"track": "alps"}}, "#/score"),
    "below those of every board": ({"score": -11, "tags": {"track": "alps"}}, "#/score"),
    "no boards": ({"score": 5, "boards": []}, "#/boards"),
    "a board twice": ({"score": 5, "boards": ["alps", "main", "alps"]}, "#/boards"),
    "25 boards": ({"score": 5, "boards": levels(25)}, "#/boards"),
    "25 places": ({"score": 5, "boards": [*levels(8), "main"]}, "#/boards"),
    "27 places": ({"score": 5, "boards": levels(9)}, "#/boards"),
    "a board that is no name": ({"score": 5, "boards": ["Main"]}, "#/boards/0"),
    "a board with a line's end": ({"score": 5, "boards": ["main\n"]}, "#/boards/0"),
    "a board of 65 characters": ({"score": 5, "boards": ["a" * 65]}, "#/boards/0"),
    "a board that is no text": ({"score": 5, "boards": [1]}, "#/boards/0"),
    "boards that are no list": ({"score": 5, "boards": "main"}, "#/boards"),
    "9 metrics": ({"score": 5, "metrics": named(9, 1)}, "#/metrics"),
    "9 tags": ({"score": 5, "tags": named(9, "x")}, "#/tags"),
    "a metric called score": ({"score": 5, "metrics": {"score": 5}}, "#/metrics"),
    "a metric called sessions": ({"score": 5, "metrics": {"sessions": 1}}, "#/metrics"),
    "a metric of 33 characters": ({"score": 5, "metrics": {"m" * 33: 1}}, "#/metrics/" + "m" * 33),
    "a metric without a name": ({"score": 5, "metrics": {"": 1}}, "#/metrics/"),
    "a metric with a blank": ({"score": 5, "metrics": {"a b": 1}}, "#/metrics/a b"),
    "a metric that is no number": ({"score": 5, "metrics": {"laps": "3"}}, "#/metrics/laps"),
    "a metric that is no whole number": ({"score": 5, "metrics": {"laps": 3.5}}, "#/metrics/laps"),
    "a metric that is true": ({"score": 5, "metrics": {"laps": True}}, "#/metrics/laps"),
    "a metric that is null": ({"score": 5, "metrics": {"laps": None}}, "#/metrics/laps"),
    "a metric of 2^53": ({"score": 5, "metrics": {"laps": 2**53}}, "#/metrics/laps"),
    "a metric of -2^53": ({"score": 5, "metrics": {"laps": -(2**53)}}, "#/metrics/laps"),
    "metrics that are a list": ({"score": 5, "metrics": [1]}, "#/metrics"),
    "a tag of 65 characters": ({"score": 5, "tags": {"track": "x" * 65}}, "#/tags/track"),
    "a tag without a value": ({"score": 5, "tags": {"track": ""}}, "#/tags/track"),
    "a tag with a line's end": ({"score": 5, "tags": {"track": "alps\n"}}, "#/tags/track"),
    "a tag with NUL": ({"score": 5, "tags": {"track": "\0"}}, "#/tags/track"),
    "a tag that is a number": ({"score": 5, "tags": {"track": 1}}, "#/tags/track"),
    "a tag's name of 33 characters": ({"score": 5, "tags": {"m" * 33: "x"}}, "#/tags/" + "m" * 33),
    "extra of 1,025 bytes": ({"score": 5, "extra": "x" * 1023}, "#/extra"),
    "extra of 1,025 bytes, of fewer characters": ({"score": 5, "extra": "ż" * 511 + "x"}, "#/extra"),
    "extra 30 levels deep": ('{"score": 5, "extra": {"a": ' + DEEP + "}}", "#/extra"),
    "extra thousands of levels deep": ('{"score": 5, "extra": ' + "[" * 5000 + "]" * 5000 + "}", "#"),
    "extra 17 levels deep": ('{"score": 5, "extra": ' + "[" * 17 + "]" * 17 + "}", "#/extra"),
    "NaN": ('{"score": 5, "extra": NaN}', "#/extra"),
    "infinity deep in extra": ('{"score": 5, "extra": {"a": [-Infinity]}}', "#/extra"),
    "1e400": ('{"score": 5, "extra": {"a": 1e400}}', "#/extra"),
    "a number of thousands of digits": ('{"score": 5, "extra": ' + "9" * 5000 + "}", "#"),
    "one that is not whole": ('{"score": 5, "extra": 0.' + "3" * 5000 + "e5000}", "#/extra"),
    "a metric of thousands of digits": ('{"score": 5, "metrics": {"laps": ' + "9" * 5000 + "}}", "#"),
    "a metric of 1e400": ('{"score": 5, "metrics": {"laps": 1e400}}', "#/metrics/laps"),
    "a score of 1e400": ('{"score": 1e400}', "#/score"),
    "half a character in extra": ('{"score": 5, "extra": "\\ud800"}', "#"),
    "half a character in a name in extra": ('{"score": 5, "extra": {"\\udfff": 1}}', "#"),
    "half a character in a tag": ('{"score": 5, "tags": {"track": "\\ud800"}}', "#"),
    "half a character in a tag's name": ('{"score": 5, "tags": {"\\ud800": "x"}}', "#"),
    "half a character in a board": ('{"score": 5, "boards": ["\\ud800"]}', "#"),
    "places": ({"score": 5, "places": [[1, 0]]}, "#/places"),
}


@pytest.mark.parametrize(("body", "pointer"), BAD.values(), ids=BAD.keys())
async def test_what_is_wrong_is_pointed_at_and_nothing_is_stored(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, body: dict[str, Any] | str, pointer: str
) -> None:
    """In the spelling that clients use, which takes a shortcut, and in another."""
    content = body if isinstance(body, str) else json.dumps(body)
    for media_type in ("application/json", "application/json; charset=utf-8"):
        headers = {**accounts.new(), "content-type": media_type}
        answer = await service.post(f"{API}/submit", content=content.encode(), headers=headers)
        assert_problem(answer, 422, "invalid-request")
        pointers = [error["pointer"] for error in answer.json()["errors"]]
        # Of what is no JSON the place is not told.
        assert pointer in pointers or (pointer == "#" and pointers[0].startswith("#/")), answer.text
        assert len(answer.content) < 10_000
    assert [rows(mysql, f"SELECT COUNT(*) FROM {table}")[0][0] for table in TABLES] == [0, 0, 0, 0, 0]


async def test_beyond_the_bounds_of_some_boards_a_session_does_not_count_there(
    service: httpx.AsyncClient, accounts: Accounts
) -> None:
    for score, track, boards in (
        (1001, "alps", {"alps"}),
        (1000, "alps", {"alps", "main"}),
        (-1, "alps", {"alps"}),
        (51, "fjord", {"main"}),
        (50, "fjord", {"fjord", "main"}),
    ):
        body = {"score": score, "tags": {"track": track}}
        answer = await service.post(f"{API}/submit", json=body, headers=accounts.new())
        assert answer.status_code == 201, answer.text
        assert {standing["board"] for standing in answer.json()["standings"]} == boards


EDGES: dict[str, dict[str, Any]] = {
    "8 metrics": {"metrics": named(8, -(2**53) + 1)},
    "8 tags": {"tags": named(8, "ż" * 64)},
    "names of 32 characters": {"metrics": {"M-_." * 8: 2**53 - 1}, "tags": {"M-_." * 8: "Zażółć 中文 🏁"}},
    "extra of 1,024 bytes": {"extra": "ż" * 511},
    "extra 16 levels deep": {"extra": json.loads("[" * 16 + "]" * 16)},
    "extra of any kind": {"extra": {"a": [None, True, -1.5, "\0 \\ ' \" \u2028 🏁", {"": []}], "b": 10**300}},
    "extra that is false": {"extra": False},
    "no extra": {"extra": None},
    "24 places": {"boards": levels(8)},
    "a board of 64 characters": {"boards": ["a" * 64]},
    "metrics that a board needs": {"boards": ["laps"], "metrics": {"laps": 99}},
    "nothing in any": {"tags": {}, "metrics": {}, "boards": None},
}


@pytest.mark.parametrize("said", EDGES.values(), ids=EDGES.keys())
async def test_the_edges_of_what_may_be_said_are_stored_as_they_were_sent(
    service: httpx.AsyncClient, accounts: Accounts, mysql: Any, said: dict[str, Any]
) -> None:
    answer = await service.post(f"{API}/submit", json={"score": 5, **said}, headers=accounts.new())
    assert answer.status_code == 201, answer.text
    [(tags, metrics)] = rows(mysql, "SELECT tags, metrics FROM game_sessions")
    assert json.loads(tags or "{}") == said.get("tags", {})
    assert json.loads(metrics or "{}") == said.get("metrics", {})
    extras = [json.loads(extra) for (extra,) in rows(mysql, "SELECT extra FROM session_extras")]
    assert extras == ([] if said.get("extra") is None else [said["extra"]])
    if boards := said.get("boards"):
        assert {standing["board"] for standing in answer.json()["standings"]} == set(boards)


async def test_every_fault_of_named_boards_is_told(service: httpx.AsyncClient, accounts: Accounts) -> None:
    body = {"score": 5000, "boards": ["nowhere", "main", "closed", "laps"]}
    answer = await service.post(f"{API}/submit", json=body, headers=accounts.new())
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/boards/0", "#/score", "#/boards/2", "#/metrics"]
