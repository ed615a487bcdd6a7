"""Sessions of a file: each line is a session, once; a bad line fails no other, and is told with its number."""

import asyncio
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.leaderboard.app import create_app
from services.leaderboard.http.staff import transfers as http
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.transfers import imports, lines
from tests.boards import ALL, WEEK, define, make
from tests.playing import API, get, remove, submit
from tests.system import Accounts, assert_problem, rows, serving
from tests.transfers import CSV, NDJSON, add_accounts, bring_in, counts, importer, ndjson

LONG_AGO = "2019-05-04T03:02:01Z"


@pytest.fixture
def people(mysql: Any) -> Any:
    """MySQL, with three accounts."""
    add_accounts(mysql, {1: "Ada", 2: "Zoë Ångström", 3: "bob_3"})
    return mysql


async def test_a_line_is_a_session_of_whom_it_names_or_numbers_and_counts_as_of_its_time(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, people: Any
) -> None:
    await make(leaderboard_database, define("alps", windows=(ALL, WEEK)))
    file = ndjson(
        {"user_id": 1, "score": 5},
        {"player": "ada", "score": 7, "boards": ["alps"], "played_at": LONG_AGO, "tags": {"track": "a"}},
        {"player": "ZOË ÅNGSTRÖM", "score": 9.0, "key": "k", "metrics": {"laps": 3}, "extra": {"car": "é"}},
        {"player": "bob_3", "score": 9, "boards": ["alps", "main"]},
    )
    told = await bring_in(leaderboard, importer(accounts), file)
    assert told == {
        "lines": 4,
        "stored": 4,
        "repeated": 0,
        "skipped": 0,
        "refused": 0,
        "done": True,
        "dry_run": False,
        "errors": [],
    }
    top = (await get(leaderboard, "boards/main/top"))["top"]
    assert [(each["username"], each["score"]) for each in top] == [("Zoë Ångström", 9), ("bob_3", 9), ("Ada", 5)]
    assert [each["score"] for each in (await get(leaderboard, "boards/alps/top"))["top"]] == [9, 7]
    week = await leaderboard.get(f"{API}/boards/alps/top?window=week")
    assert [each["score"] for each in week.json()["top"]] == [9]


async def test_a_file_that_comes_twice_is_stored_once_and_equal_lines_of_it_are_several_sessions(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    key = importer(accounts)
    lines: list[dict[str, Any]] = [{"user_id": 1, "score": 5}] * 3 + [
        {"user_id": 2, "score": 5},
        {"user_id": 1, "score": 6, "key": "a"},
    ]
    file = ndjson(*lines)
    assert counts(await bring_in(leaderboard, key, file)) == (5, 0, 0, 0)
    assert counts(await bring_in(leaderboard, key, file)) == (0, 5, 0, 0)
    # In another order, with other spellings, and with one more.
    again = ndjson({"score": 5.0, "player": "ADA"}, *reversed(lines))
    assert counts(await bring_in(leaderboard, key, again)) == (1, 5, 0, 0)
    assert (await get(leaderboard, "rank/1"))["total_score"] == 26


async def test_a_key_that_comes_with_another_session_is_refused_and_is_none_of_a_players_or_a_game_servers(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    key = importer(accounts)
    await submit(leaderboard, accounts.new("Ada", 1), 1, "a")
    await submit(leaderboard, key, 2, "a", user_id=1)
    line = {"user_id": 1, "score": 3, "key": "a"}
    told = await bring_in(leaderboard, key, ndjson(line, line | {"score": 4}, line))
    assert counts(told) == (1, 1, 0, 1)
    assert told["errors"] == [{"line": 2, "detail": "Another session was sent with this key: one that scored 3."}]
    told = await bring_in(leaderboard, key, ndjson(line | {"score": 5}))
    assert told["errors"] == [{"line": 1, "detail": "Another session was sent with this key: one that scored 3."}]
    assert (await get(leaderboard, "rank/1"))["total_score"] == 6


BAD = [
    (b"{", "#: Invalid JSON: EOF"),
    (b"[]", "#: Input should be an object"),
    (b'{"user_id": 1}', "#/score: Field required"),
    (b'{"user_id": 1, "score": NaN}', "#/score: "),
    (b'{"user_id": 1, "score": 1e400}', "#/score: "),
    (b'{"user_id": 1, "score": 1.5}', "#/score: "),
    (b'{"user_id": 1, "score": "5"}', "#/score: "),
    (b'{"user_id": 1, "score": true}', "#/score: "),
    (b'{"user_id": 1, "score": 5, "extra": NaN}', "#/extra: It must be JSON"),
    (b'{"user_id": 1, "score": 5, "x": 1}', "#/x: "),
    (b'{"user_id": 1, "score": 5, "player": "Ada"}', "#: A line says `user_id` or `player`"),
    (b'{"score": 5}', "#: A line says `user_id` or `player`"),
    (b'{"user_id": 1, "score": 5, "key": "a", "submission": "c:a"}', "#: A line has `key` or `submission`, not both"),
    (b'{"user_id": 1, "score": 5, "key": ""}', "#/key: "),
    (b'{"user_id": 1, "score": 5, "submission": "y:a"}', "#/submission: It is not as an export has it"),
    (b'{"user_id": 1, "score": 5, "submission": "x:a"}', "#/submission: It is not as an export has it"),
    (b'{"user_id": 1, "score": 5, "played_at": "2019-05-04 03:02:01"}', "#/played_at: "),
    (b'{"user_id": 1, "score": 5, "played_at": "2100-01-01T00:00:00Z"}', "#/played_at: The session is of a time to come."),
    (b'{"user_id": 1, "score": -1}', "The board main takes values from 0 to 1000000000."),
    (b'{"user_id": 1, "score": 5, "boards": ["none"]}', "A board that the session names does not take it. #/boards/0: There"),
    (b'{"user_id": 99, "score": 5}', "There is no user 99, or their account has ended."),
    (b'{"user_id": 1, "username": "Bob", "score": 5}', "User 1 is Ada here, and not Bob."),
    (b'{"player": "nobody", "score": 5}', "There is no user of the name nobody, or their account has ended."),
    (b'{"player": "\\ud800", "score": 5}', "#"),
    (b'{"player": "A\xff", "score": 5}', "#: Invalid JSON: "),
    (b"\xff\xfe{\x00", "Send the body in UTF-8."),
    (b'{"user_id": 1, "score": 5, "extra": "' + b"x" * lines.MOST_BYTES, "The line has more than 65,536 bytes."),
]


async def test_a_bad_line_fails_no_other_and_is_told_with_its_number(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    good = b'{"user_id": 1, "score": 1}\r\n'
    file = b"\n" + b"".join(line + b"\n" + good for line, _ in BAD)
    for dry_run in (True, False):
        told = await bring_in(leaderboard, importer(accounts), file, dry_run=dry_run)
        assert counts(told) == (len(BAD), 0, 0, len(BAD))
        errors = sorted(told["errors"], key=lambda each: each["line"])
        assert [each["line"] for each in errors] == [2 + 2 * number for number in range(len(BAD))]
        for (_, expected), error in zip(BAD, errors, strict=True):
            assert error["detail"].startswith(expected), error
    assert (await get(leaderboard, "rank/1"))["total_score"] == len(BAD)


async def test_so_many_bad_lines_are_told_and_all_are_counted(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    told = await bring_in(leaderboard, importer(accounts), b"{\n" * 450)
    assert counts(told) == (0, 0, 0, 450)
    assert [each["line"] for each in told["errors"]] == list(range(1, 1 + imports.MOST_TOLD))


async def test_a_dry_run_tells_what_would_be_done_and_changes_nothing(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, people: Any
) -> None:
    await make(leaderboard_database, define("alps", windows=(ALL, WEEK)))
    key = importer(accounts)
    await bring_in(leaderboard, key, ndjson({"user_id": 2, "score": 1, "key": "old"}))
    tables = "game_sessions", "standings", "players", "periods", "events"
    before = [rows(people, f"SELECT * FROM {table}") for table in tables]
    line = {"user_id": 1, "score": 5, "boards": ["alps"]}
    file = ndjson(line, line | {"key": "a"}, line | {"key": "a"}, {"user_id": 2, "score": 1, "key": "old"}, {"score": 1})
    told = await bring_in(leaderboard, key, file, dry_run=True)
    assert counts(told) == (2, 2, 0, 1)
    assert told["dry_run"] is True
    assert [rows(people, f"SELECT * FROM {table}") for table in tables] == before
    assert counts(await bring_in(leaderboard, key, file)) == (2, 2, 0, 1)


CSVS = [
    (b"Ada,5,2019-05-04T03:02:01Z\nada,6\n", 2, []),
    (b"\xef\xbb\xbfplayer,score,time\r\nAda,5,\r\n\r\n", 1, []),
    (b'Score,Player\n5,"ADA"\n', 1, []),
    (b"score,user_id,key\n5,1,a\n5,1,b\n", 2, []),
    (b'"Zo\xc3\xab \xc3\x85ngstr\xc3\xb6m", 5 ,2019-05-04T05:02:01+02:00\n', 1, []),
    (b'Ada,"5\nAda,1.5\nAda,5,x\nAda,5,,9\nAda\n\xffda,5\n"A""da",5\nAda,\x00\nAda,7\n', 1, [1, 2, 3, 4, 5, 6, 7, 8]),
]


@pytest.mark.parametrize(("file", "stored", "bad"), CSVS)
async def test_a_csv_has_a_session_a_line(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any, file: bytes, stored: int, bad: list[int]
) -> None:
    told = await bring_in(leaderboard, importer(accounts), file, CSV)
    assert sorted(each["line"] for each in told["errors"]) == bad
    assert counts(told) == (stored, 0, 0, len(bad))
    assert await check_standings_are_whole(leaderboard, people)


async def check_standings_are_whole(client: httpx.AsyncClient, mysql: Any) -> bool:
    [(scores,)] = rows(mysql, "SELECT SUM(score) FROM game_sessions")
    return bool(sum(each["total_score"] for each in (await get(client, "top"))["top"]) == scores)


async def test_what_is_no_file_of_sessions_is_refused_before_anything_is_stored(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    key = importer(accounts)

    async def post(body: bytes, media_type: str, **headers: str) -> httpx.Response:
        return await leaderboard.post(f"{API}/import", content=body, headers={**key, "Content-Type": media_type, **headers})

    assert_problem(await post(b"score,name\n5,Ada\n", CSV), 422, "invalid-request")
    assert_problem(await post(b"{}", "application/json"), 415, "unsupported-media-type")
    assert_problem(await post(b"{}", NDJSON, **{"Content-Encoding": "gzip"}), 415, "unsupported-media-type")
    large = b" " * (http.MOST_IMPORTED_BYTES + 1)
    assert_problem(await post(large, NDJSON), 413, "body-too-large")

    async def pieces() -> Any:
        for start in range(0, len(large), 2**20):
            yield large[start : start + 2**20]

    unmeasured = await leaderboard.post(f"{API}/import", content=pieces(), headers={**key, "Content-Type": NDJSON})
    assert_problem(unmeasured, 413, "body-too-large")
    assert_problem(await leaderboard.post(f"{API}/import?dry_run=x", headers={**key, "Content-Type": NDJSON}), 422)
    assert rows(people, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    assert counts(await bring_in(leaderboard, key, b"")) == (0, 0, 0, 0)


async def test_one_file_is_imported_at_a_time_and_another_is_told_to_wait(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    key = importer(accounts)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        begun.set()
        await go_on.wait()
        yield ndjson({"user_id": 1, "score": 5})

    headers = {**key, "Content-Type": NDJSON}
    first = asyncio.create_task(leaderboard.post(f"{API}/import", content=slow(), headers=headers))
    await begun.wait()
    second = await leaderboard.post(f"{API}/import", content=b"", headers=headers)
    assert_problem(second, 503, "too-many-transfers")
    assert second.headers["retry-after"] == "5"
    go_on.set()
    assert (await first).status_code == 200
    assert counts(await bring_in(leaderboard, key, b"")) == (0, 0, 0, 0)


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    leaderboard: httpx.AsyncClient, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_READING_SECONDS", 0.05)

    async def never() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    headers = {**importer(accounts), "Content-Type": NDJSON}
    assert_problem(await leaderboard.post(f"{API}/import", content=never(), headers=headers), 408, "body-too-slow")


async def test_the_order_of_a_file_decides_who_was_first_and_which_session_is_the_latest(
    leaderboard: httpx.AsyncClient, leaderboard_database: Database, accounts: Accounts, people: Any
) -> None:
    await make(leaderboard_database, define("now", aggregate="latest", windows=(ALL,)))
    lines = [{"user_id": 3, "score": 9}, *({"user_id": 1 + n % 3, "score": n % 7} for n in range(150))]
    lines += [{"user_id": 1, "score": 4}, {"user_id": 3, "score": 5}, {"user_id": 2, "score": 5}]
    file = ndjson(*({**line, "boards": ["now"]} for line in lines))
    assert counts(await bring_in(leaderboard, importer(accounts), file)) == (len(lines), 0, 0, 0)
    top = (await get(leaderboard, "boards/now/top"))["top"]
    assert [(each["user_id"], each["score"]) for each in top] == [(3, 5), (2, 5), (1, 4)]
    stored = rows(people, "SELECT user_id, score FROM game_sessions ORDER BY id")
    assert stored == [(line["user_id"], line["score"]) for line in lines]


async def test_a_process_that_is_asked_to_end_stops_importing_and_says_so(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, people: Any
) -> None:
    app = create_app(leaderboard_settings)
    async with serving(app) as client:
        app.state.transfers.leave()
        told = await bring_in(client, importer(accounts), ndjson({"user_id": 1, "score": 5}))
    assert told["stopped"] == "The service is being stopped."
    assert (told["done"], told["lines"], told["stored"]) == (False, 0, 0)


async def test_an_erased_sessions_line_does_not_bring_it_back(
    leaderboard: httpx.AsyncClient, accounts: Accounts, people: Any
) -> None:
    file = ndjson({"user_id": 1, "score": 5}, {"user_id": 1, "score": 6, "key": "a"})
    assert counts(await bring_in(leaderboard, importer(accounts), file)) == (2, 0, 0, 0)
    await remove(leaderboard, accounts.new("Ada", 1))
    assert counts(await bring_in(leaderboard, importer(accounts), file)) == (0, 0, 0, 2)
    assert (await get(leaderboard, "top"))["top"] == []
