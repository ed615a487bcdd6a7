"""Game servers submit many sessions in one call: each is answered by itself, and stored once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pymysql.cursors
import pytest

from services.common.mysql.database import Database
from services.common.mysql.multistatement import Transactions
from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.errors import QueueFull
from services.leaderboard.log.writer import Submitted
from services.leaderboard.operate.check import check
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, make, tagged
from tests.moderating import ban, moderator, unban
from tests.playing import API, remove, submit
from tests.system import Accounts, assert_problem, eventually, rows, rows_are_awaited, serving
from tests.writing import Board, session

Client = httpx.AsyncClient
Items = list[dict[str, Any]]

ADA, BOB, GONE, FIRST_OF_MANY = 7, 8, 9, 1_000


@pytest.fixture
async def service(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> AsyncIterator[Client]:
    """The service, with a second board, two users and one who has left."""
    await make(leaderboard_database, tagged("alps", "alps", windows=(ALL,)))
    add_users(mysql, {ADA: "Ada", BOB: "Bob", GONE: "Gone"})
    rows(mysql, "UPDATE account_changes SET username = '', username_canonical = '', ended_at = NOW(6) WHERE id = %s", GONE)
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


@pytest.fixture
def server(accounts: Accounts) -> dict[str, str]:
    """A game server's header."""
    return accounts.new_key(Scope.SCORES)


def add_users(mysql: Any, names: dict[int, str]) -> None:
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)",
            [(user_id, name, name.lower()) for user_id, name in names.items()],
        )


def item(user_id: int, score: int, key: str, **said: Any) -> dict[str, Any]:
    return {"user_id": user_id, "score": score, "key": key, **said}


async def send(client: Client, headers: dict[str, str], items: Items) -> Items:
    """Submit many sessions in a call, which must be answered with a result for each."""
    answer = await client.post(f"{API}/submissions", json={"submissions": items}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json().keys() == {"results"}
    results: Items = answer.json()["results"]
    assert len(results) == len(items)
    for result in results:
        if "problem" in result:
            assert result.keys() == {"status", "problem"}
            assert result["status"] == result["problem"]["status"]
    return results


def statuses(results: Items) -> list[int]:
    return [result["status"] for result in results]


def kind(result: dict[str, Any]) -> str:
    told: str = result["problem"]["type"]
    return told.removeprefix("urn:problem:")


async def test_each_session_is_answered_in_the_order_of_the_call(
    service: Client, server: dict[str, str], mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    sent = [item(BOB, 50, "b"), item(ADA, 30, "a", tags={"track": "alps"}), item(BOB, 5, "c", boards=["alps"])]
    results = await send(service, server, sent)
    assert statuses(results) == [201] * 3
    ids = [result["session_id"] for result in results]
    assert rows(mysql, "SELECT id, user_id, score FROM game_sessions ORDER BY id") == [
        (ids[0], BOB, 50),
        (ids[1], ADA, 30),
        (ids[2], BOB, 5),
    ]
    main = {"board": "main", "window": "all", "period_id": 0, "total_players": 2, "counted": True, "improved": True}
    assert results[0]["standings"] == [{**main, "score": 50, "rank": 1}]
    alps = {**main, "board": "alps"}
    assert results[1]["standings"] == [{**alps, "score": 30, "rank": 1}, {**main, "score": 30, "rank": 2}]
    assert results[2]["standings"] == [{**alps, "score": 5, "rank": 2}]
    assert await check(leaderboard_settings) == []


async def test_an_item_is_answered_as_the_same_submission_is(service: Client, server: dict[str, str]) -> None:
    said: dict[str, Any] = {"metrics": {"laps": 3}, "tags": {"track": "alps"}, "extra": {"car": "red"}}
    alone = await submit(service, server, 30, "one", user_id=ADA, **said)
    [together] = await send(service, server, [item(ADA, 30, "one", **said)])
    assert statuses([together]) == [200]
    assert (together["session_id"], together["standings"]) == (alone["session_id"], alone["standings"])


WRONG: list[tuple[object, str, str | None]] = [
    (item(ADA, -5, "x"), "invalid-request", "#/score"),
    (item(ADA, 5, "x") | {"score": "5"}, "invalid-request", "#/score"),
    (item(4711, 5, "x"), "unknown-user", "#/user_id"),
    (item(GONE, 5, "x"), "unknown-user", "#/user_id"),
    (item(0, 5, "x"), "invalid-request", "#/user_id"),
    ({"score": 5, "key": "x"}, "invalid-request", "#/user_id"),
    ({"score": 5, "user_id": ADA}, "invalid-request", "#/key"),
    (item(ADA, 5, ""), "invalid-request", "#/key"),
    (item(ADA, 5, "k" * 65), "invalid-request", "#/key"),
    (item(ADA, 5, "é"), "invalid-request", "#/key"),
    (item(ADA, 5, "x", boards=["main", "nowhere"]), "invalid-request", "#/boards/1"),
    (item(ADA, 5, "x", played_at="2999-01-01T00:00:00Z"), "invalid-request", "#/played_at"),
    (item(ADA, 5, "x", played_at="now"), "invalid-request", "#/played_at"),
    (item(ADA, 5, "x", extra="a" * 2_000), "invalid-request", "#/extra"),
    (item(ADA, 5, "x", extra="a" * 20_000), "invalid-request", "#"),
    (item(ADA, 5, "x", stranger=1), "invalid-request", "#/stranger"),
    (item(ADA, 5, "x", **{f"m{number}": 1 for number in range(100)}), "invalid-request", "#/m0"),
    ([], "invalid-request", "#"),
    (None, "invalid-request", "#"),
    ("text", "invalid-request", "#"),
]


async def test_what_is_wrong_with_one_is_told_of_it_and_no_other_is_touched(
    service: Client, server: dict[str, str], mysql: Any
) -> None:
    sent: Items = []
    for number, (wrong, _, _) in enumerate(WRONG):
        sent += [item(ADA, 1, f"good-{number}"), wrong]  # type: ignore[list-item]  # that is what is wrong
    results = await send(service, server, sent)
    assert statuses(results[::2]) == [201] * len(WRONG)
    for (wrong, expected, place), result in zip(WRONG, results[1::2], strict=True):
        assert (result["status"], kind(result)) == (422, expected), wrong
        assert result["problem"]["errors"][0]["pointer"] == place, wrong
    assert rows(mysql, "SELECT COUNT(*), SUM(score) FROM game_sessions") == [(len(WRONG), len(WRONG))]


async def test_what_only_a_character_makes_wrong_is_its_items_fault(service: Client, server: dict[str, str]) -> None:
    items = rb'{"user_id":7,"score":1,"key":"\ud800"},{"user_id":7,"score":NaN,"key":"a"},{"user_id":7,"score":1e400,"key":"a"}'
    deep = b'{"user_id":7,"score":1,"key":"a","extra":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    digits = b'{"user_id":7,"key":"a","score":' + b"9" * 5_000 + b"}"
    body = b'{"submissions":[' + b",".join([items, deep, digits, b'{"user_id":7,"score":1,"key":"a"}']) + b"]}"
    answer = await service.post(f"{API}/submissions", content=body, headers={**server, "Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert statuses(answer.json()["results"]) == [422] * 5 + [201]


async def test_the_whole_call_can_be_sent_again_and_counts_once(
    service: Client, server: dict[str, str], leaderboard_settings: LeaderboardSettings, mysql: Any
) -> None:
    sent = [item(ADA, 5, "a"), item(4711, 5, "a"), item(BOB, 6, "a"), item(ADA, 7, "b")]
    first = await send(service, server, sent)
    assert statuses(first) == [201, 422, 201, 201]
    again = await send(service, server, sent)
    assert statuses(again) == [200, 422, 200, 200]
    async with serving(create_app(leaderboard_settings)) as another:
        elsewhere = await send(another, server, sent)
    assert elsewhere == again
    assert [each.get("session_id") for each in again] == [each.get("session_id") for each in first]
    assert rows(mysql, "SELECT user_id, score, sessions FROM standings ORDER BY user_id") == [(ADA, 12, 2), (BOB, 6, 1)]


async def test_two_items_of_one_identity_are_one_session_or_the_second_is_refused(
    service: Client, server: dict[str, str], mysql: Any
) -> None:
    sent = [item(ADA, 5, "a"), item(ADA, 5, "a"), item(ADA, 6, "a"), item(BOB, 6, "a"), item(ADA, 5, "a", tags={"x": "y"})]
    results = await send(service, server, sent)
    assert statuses(results) == [201, 200, 422, 201, 422]
    assert results[0]["session_id"] == results[1]["session_id"]
    assert [kind(results[number]) for number in (2, 4)] == ["idempotency-key-reused"] * 2
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(2,)]


async def test_a_call_whose_answer_is_lost_is_stored_and_counts_once_when_it_is_repeated(
    service: Client, server: dict[str, str], other: pymysql.cursors.Cursor, mysql: Any
) -> None:
    other.execute("INSERT INTO players (user_id, username) VALUES (%s, 'Ada')", (ADA,))
    other.connection.commit()
    other.execute("SELECT username FROM players WHERE user_id = %s FOR UPDATE", (ADA,))
    sent = [item(ADA, 5, "a"), item(BOB, 6, "a")]
    lost = asyncio.create_task(send(service, server, sent))
    await eventually(lambda: rows_are_awaited(mysql))
    lost.cancel()
    await asyncio.wait([lost])
    other.connection.rollback()

    async def stored() -> bool:
        return rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(2,)]

    await eventually(stored)
    assert statuses(await send(service, server, sent)) == [200, 200]
    assert rows(mysql, "SELECT score, sessions FROM standings ORDER BY user_id") == [(5, 1), (6, 1)]


async def test_a_thousand_sessions_of_as_many_players_are_stored_with_few_questions(
    service: Client, server: dict[str, str], mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    add_users(mysql, {FIRST_OF_MANY + number: f"many{number}" for number in range(999)})
    sent = [item(FIRST_OF_MANY + number, number % 50, f"match-{number}") for number in range(1_000)]
    before = questions(mysql)
    results = await send(service, server, sent)
    assert questions(mysql) - before < 500
    assert statuses(results) == [201] * 999 + [422]  # of the last there is no account
    assert [result["session_id"] for result in results[:-1]] == [
        session_id for (session_id,) in rows(mysql, "SELECT id FROM game_sessions ORDER BY user_id")
    ]
    assert await check(leaderboard_settings) == []


def questions(mysql: Any) -> int:
    [(_, count)] = rows(mysql, "SHOW GLOBAL STATUS LIKE 'Questions'")
    return int(count)


async def test_what_a_banned_player_played_is_held_or_refused_as_one_submission_is(
    service: Client, server: dict[str, str], accounts: Accounts, leaderboard_settings: LeaderboardSettings
) -> None:
    staff = moderator(accounts)
    await send(service, server, [item(ADA, 5, "a")])
    await ban(service, staff, ADA)
    held, other = await send(service, server, [item(ADA, 7, "b"), item(BOB, 1, "b")])
    assert (held["status"], held["standings"][0]["score"], held["standings"][0]["rank"]) == (201, None, None)
    assert other["standings"][0]["rank"] == 1
    async with serving(create_app(leaderboard_settings.model_copy(update={"banned_submissions": "refuse"}))) as refusing:
        results = await send(refusing, server, [item(ADA, 9, "c"), item(BOB, 1, "c"), item(ADA, 7, "b")])
    assert statuses(results) == [403, 201, 200]
    assert kind(results[0]) == "player-banned"
    await unban(service, staff, ADA)
    [counted] = await send(service, server, [item(ADA, 1, "d")])
    assert counted["standings"][0]["score"] == 13


async def test_a_repeat_of_what_its_player_had_erased_is_refused(
    service: Client, server: dict[str, str], accounts: Accounts
) -> None:
    sent = [item(ADA, 5, "a"), item(BOB, 5, "a")]
    await send(service, server, sent)
    await remove(service, accounts.new("Ada", ADA))
    erased, repeated = await send(service, server, sent)
    assert (erased["status"], kind(erased), repeated["status"]) == (409, "session-erased", 200)


async def test_a_total_that_would_grow_too_large_is_refused_alone(service: Client, server: dict[str, str], mysql: Any) -> None:
    await send(service, server, [item(ADA, 5, "a")])
    rows(mysql, "UPDATE standings SET score = %s, sort = -%s WHERE user_id = %s", 2**53 - 3, 2**53 - 3, ADA)
    refused, taken, other = await send(service, server, [item(ADA, 5, "b"), item(ADA, 1, "c"), item(BOB, 5, "b")])
    assert (refused["status"], kind(refused), taken["status"], other["status"]) == (409, "total-too-large", 201, 201)


async def test_a_repeat_counts_where_it_did_though_its_board_takes_it_no_more(
    service: Client, server: dict[str, str], leaderboard_database: Database
) -> None:
    sent = [item(ADA, 5, "a", boards=["alps"]), item(BOB, 6, "a", boards=["alps"])]
    first = await send(service, server, sent)
    await make(leaderboard_database, tagged("alps", "alps", windows=(ALL,), state="closed"))

    async def refused() -> bool:
        return statuses(await send(service, server, [item(ADA, 1, "late", boards=["alps"])])) == [422]

    await eventually(refused)
    again = await send(service, server, [*sent, item(BOB, 1, "late", boards=["alps"])])
    assert statuses(again) == [200, 200, 422]
    assert [each["session_id"] for each in again[:2]] == [each["session_id"] for each in first]


BODIES = [
    (b"", "#"),
    (b"[]", "#"),
    (b"null", "#"),
    (b"{}", "#"),
    (b'{"submissions":{}}', "#"),
    (b'{"submissions":[]}', "#/submissions"),
    (b'{"submissions":[1,]}', "#"),
    (b'{"submissions":[1}', "#"),
    (b'{"submissions":[1]', "#"),
    (b'{"submissions":[1]}x', "#"),
    (b'{"submissions":[1],"more":1}', "#"),
    (b'{"submissions":[{"score":1 "key":1}]}', "#"),
    (b'{"submissions":["\n"]}', "#"),
    (b'{"submissions":[' + b"1," * 1_000 + b"1]}", "#/submissions"),
    (b'{"submissions":[' + b"[" * 100_000, "#"),
    (b'{"submissions":["' + b'\\"' * 100_000, "#"),
    (b'{"submissions":["\xff"]}', "#"),
]


@pytest.mark.parametrize(("body", "place"), BODIES, ids=[body[:40].decode("latin-1") for body, _ in BODIES])
async def test_a_body_that_lists_no_sessions_is_refused_whole(
    service: Client, server: dict[str, str], body: bytes, place: str, mysql: Any
) -> None:
    answer = await service.post(f"{API}/submissions", content=body, headers={**server, "Content-Type": "application/json"})
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == [place]


async def test_it_is_for_keys_with_the_scope_alone(service: Client, accounts: Accounts, mysql: Any) -> None:
    for headers, refusal in (
        (accounts.new("Ada", ADA), "insufficient-scope"),
        (accounts.new_key(*(scope for scope in Scope if scope is not Scope.SCORES)), "insufficient-scope"),
        (accounts.new("Ada", ADA, scopes=tuple(Scope)), "not-for-players"),
    ):
        answer = await service.post(f"{API}/submissions", json={"submissions": [item(ADA, 5, "a")]}, headers=headers)
        assert_problem(answer, 403, refusal)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


async def test_a_call_that_does_not_fit_into_the_queue_is_not_taken_at_all(board: Board, mysql: Any) -> None:
    too_many = [session(user_id, 1) for user_id in range(1, 20_002)]
    with pytest.raises(QueueFull):
        await board.writer.submit_all(too_many)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


async def test_a_process_that_leaves_stores_what_it_has_accepted(board: Board, mysql: Any) -> None:
    storing = asyncio.create_task(board.writer.submit_all([session(user_id, 1) for user_id in range(1, 501)]))
    await asyncio.sleep(0)
    await board.writer.drain()
    assert all(isinstance(each, Submitted) for each in await storing)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(500,)]


async def test_a_player_does_not_wait_for_those_of_a_call_with_many(
    board: Board, transactions: Transactions, mysql: Any
) -> None:
    await board.store(session(1, 1))
    mysql.begin()
    rows(mysql, "SELECT * FROM players WHERE user_id = 1 FOR UPDATE")
    many = asyncio.create_task(board.writer.submit_all([session(user_id, 1) for user_id in range(1, 501)]))
    await eventually(lambda: rows_are_awaited(mysql))
    await board.store(session(1_000, 1))
    assert not many.done()
    mysql.rollback()
    assert len(await many) == 500
