"""Idempotency-Key: what is sent again with the same key is the same session, however often and wherever it arrives."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from services.local.stack import Stack
from tests.playing import API, send
from tests.system import Accounts, assert_problem, rows, serving

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def replayed(response: httpx.Response) -> bool:
    """Whether it is the answer to a repeat."""
    assert response.status_code == 201, response.text
    told: str | None = response.headers.get("idempotent-replayed")
    assert told in {None, "true"}
    return told == "true"


async def test_a_repeat_is_answered_with_the_first_session_and_counts_nothing(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new("Ada", 7)
    first = await send(leaderboard, ada, 30, KEY)
    assert not replayed(first)
    for _ in range(3):
        again = await send(leaderboard, ada, 30, KEY)
        assert replayed(again)
        assert again.json() == first.json()
    assert rows(mysql, "SELECT user_id, score FROM game_sessions") == [(7, 30)]
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(30, 1, 1)]


async def test_a_repeat_is_answered_with_how_the_player_stands_now(
    leaderboard: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, accounts: Accounts
) -> None:
    ada, bob = accounts.new(), accounts.new()
    first = await send(leaderboard, ada, 30, KEY)
    await send(leaderboard, ada, 5, "another")
    await send(leaderboard, bob, 100, KEY)
    again = await send(leaderboard, ada, 30, KEY)
    assert replayed(again)
    now = {"total_score": 35, "rank": 2}
    [standing] = first.json()["standings"]
    standing |= {"score": 35, "rank": 2, "total_players": 2, "improved": False}
    assert again.json() == first.json() | now | {"standings": [standing]}
    async with serving(create_app(leaderboard_settings)) as other:
        elsewhere = await send(other, ada, 30, KEY)
    assert replayed(elsewhere)
    assert elsewhere.content == again.content


async def test_the_same_key_with_another_score_is_refused(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new()
    await send(leaderboard, ada, 30, KEY)
    assert_problem(await send(leaderboard, ada, 31, KEY), 422, "idempotency-key-reused")
    assert rows(mysql, "SELECT score FROM game_sessions") == [(30,)]
    assert replayed(await send(leaderboard, ada, 30, KEY))


async def test_a_key_is_its_players_own(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    answers = [await send(leaderboard, accounts.new(), score, KEY) for score in (1, 2)]
    assert not any(replayed(answer) for answer in answers)
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(2,)]


async def test_no_client_can_take_a_key_that_the_server_made(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new()
    for headers in (ada, {**ada, "Idempotency-Key": "s:0123456789abcdef"}):
        await leaderboard.post(f"{API}/submit", json={"score": 1}, headers=headers)
    keys = [key for (key,) in rows(mysql, "SELECT submission_key FROM game_sessions ORDER BY id")]
    assert [key[:2] for key in keys] == [b"s:", b"c:"]


async def test_without_a_key_each_request_is_a_session(leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    ada = accounts.new()
    answers = [await leaderboard.post(f"{API}/submit", json={"score": 1}, headers=ada) for _ in range(2)]
    assert not any(replayed(answer) for answer in answers)
    assert rows(mysql, "SELECT score, sessions FROM standings") == [(2, 2)]


@pytest.mark.parametrize("key", ["", "a b", " ", "\t", "a" * 65, "é", "a\u007f"])
async def test_a_key_that_is_not_1_to_64_visible_ascii_characters_is_refused(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, key: str
) -> None:
    headers = {name.encode(): value.encode() for name, value in {**accounts.new(), "Idempotency-Key": key}.items()}
    answer = await leaderboard.post(f"{API}/submit", json={"score": 1}, headers=headers)
    assert_problem(answer, 400, "invalid-idempotency-key")
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


async def test_two_keys_are_refused(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    headers = [*accounts.new().items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = await leaderboard.post(f"{API}/submit", json={"score": 1}, headers=headers)
    assert_problem(answer, 400, "invalid-idempotency-key")


async def test_every_visible_character_can_be_in_a_key_and_keys_differ_by_case(
    leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    ada = accounts.new()
    visible = "".join(chr(code) for code in range(0x21, 0x7F))
    for key in (visible[:64], visible[-64:], "key", "KEY", '"key"'):
        assert not replayed(await send(leaderboard, ada, 1, key))
        assert replayed(await send(leaderboard, ada, 1, key))


async def test_repeats_that_come_at_the_same_time_are_one_session(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new()
    answers = await asyncio.gather(*(send(leaderboard, ada, 4, KEY) for _ in range(10)))
    assert sorted(replayed(answer) for answer in answers) == [False] + [True] * 9
    assert len({answer.json()["session_id"] for answer in answers}) == 1
    assert rows(mysql, "SELECT score, sessions, version FROM standings") == [(4, 1, 1)]


async def test_of_different_scores_that_come_at_the_same_time_with_one_key_one_is_stored(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new()
    answers = await asyncio.gather(*(send(leaderboard, ada, score, KEY) for score in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422]
    [stored] = [answer.json() for answer in answers if answer.status_code == 201]
    assert rows(mysql, "SELECT id, score FROM game_sessions") == [(stored["session_id"], stored["total_score"])]


async def test_the_same_key_twenty_times_at_once_over_two_processes_is_one_session(stack: Stack, accounts: Accounts) -> None:
    for user_id in range(880_000, 880_005):
        player = accounts.new(user_id=user_id)
        async with AsyncExitStack() as exits:
            clients = [
                await exits.enter_async_context(httpx.AsyncClient(base_url=service.url)) for service in stack.leaderboards
            ]
            answers = await asyncio.gather(*(send(clients[number % 2], player, 9, KEY) for number in range(20)))
        assert sorted(replayed(answer) for answer in answers) == [False] + [True] * 19
        assert {answer.json()["total_score"] for answer in answers} == {9}
        connection = stack.mysql.connect(database=stack.database, autocommit=True)
        try:
            [(session_id,)] = rows(connection, "SELECT id FROM game_sessions WHERE user_id = %s", user_id)
            standings = rows(connection, "SELECT score, sessions, version FROM standings WHERE user_id = %s", user_id)
        finally:
            connection.close()
        assert {answer.json()["session_id"] for answer in answers} == {session_id}
        assert standings == [(9, 1, 1)] * 3  # in all time, in the week and on the day


async def test_a_repeat_does_not_bring_a_removed_player_back(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new("Ada", 1)
    first = (await send(leaderboard, ada, 30, KEY)).json()
    with mysql.cursor() as cursor:
        cursor.execute("UPDATE standings SET score = NULL, sort = NULL, version = version + 1 WHERE user_id = 1")
    again = await send(leaderboard, ada, 30, KEY)
    assert replayed(again)
    [standing] = first["standings"]
    standing |= {"score": None, "rank": None, "total_players": None, "improved": False}
    assert again.json() == {**first, "total_score": 0, "rank": None, "standings": [standing]}
    assert rows(mysql, "SELECT score, version FROM standings") == [(None, 2)]


async def test_the_document_tells_all_of_it(leaderboard: httpx.AsyncClient) -> None:
    document = (await leaderboard.get(f"{API}/openapi.json")).json()
    operation = document["paths"][f"{API}/submit"]["post"]
    [parameter] = operation["parameters"]
    assert (parameter["in"], parameter["name"]) == ("header", "Idempotency-Key")
    assert not parameter.get("required")
    assert set(operation["responses"]) == {"201", "400", "401", "403", "409", "413", "415", "422", "429", "503"}
    assert "Idempotent-Replayed" in operation["responses"]["201"]["headers"]
    for status in ("429", "503"):
        assert "Retry-After" in operation["responses"][status]["headers"]
    for status, kind in (("400", "invalid-idempotency-key"), ("422", "idempotency-key-reused"), ("503", "queue-full")):
        assert f"urn:problem:{kind}" in operation["responses"][status]["description"]
