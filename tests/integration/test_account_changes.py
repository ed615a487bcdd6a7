"""What becomes of accounts reaches the boards by itself: no client tells the leaderboard."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pymysql.cursors
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.operate.check import check
from services.leaderboard.settings import LeaderboardSettings
from tests.leaving import delete, is_gone, join, remains
from tests.playing import API, play, send
from tests.system import PASSWORD, Accounts, assert_problem, bearer, eventually, rows, serving

Client = httpx.AsyncClient
ENDED = (
    "UPDATE account_changes SET username = '', username_canonical = '', ended_at = NOW(6), changed_at = NOW(6) WHERE id = %s"
)
NEVER = 3600.0


@pytest.fixture
async def second(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Client]:
    """Another process of the same board."""
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


async def rename(auth: Client, token: dict[str, str], name: str) -> dict[str, str]:
    """Take another name; gives the header of a token that has it."""
    answer = await auth.put("/auth/me/username", json={"username": name}, headers=token)
    assert answer.status_code == 200, answer.text
    return bearer(answer.json()["access_token"])


def add_account(mysql: Any, user_id: int, name: str) -> None:
    """As auth writes one down that it makes."""
    statement = "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)"
    rows(mysql, statement, user_id, name, name.lower())


async def names(client: Client) -> list[str]:
    return [row["username"] for row in (await client.get(f"{API}/top")).json()["top"]]


def shows(*expected: str, on: tuple[Client, ...]) -> Callable[[], Any]:
    """Whether these names, and no others, are on each client's first page."""

    async def is_so() -> bool:
        return [await names(client) for client in on] == [list(expected)] * len(on)

    return is_so


async def test_an_account_is_written_down_from_its_making_on_and_its_end_without_a_name(auth: Client, mysql: Any) -> None:
    user_id, ada = await join(auth, "Ada")
    written = "SELECT id, username, username_canonical, ended_at IS NULL, changed_at IS NULL FROM account_changes"
    assert rows(mysql, written) == [(user_id, "Ada", "ada", 1, 1)]
    await rename(auth, ada, "Lovelace")
    assert rows(mysql, written) == [(user_id, "Lovelace", "lovelace", 1, 0)]
    await delete(auth, ada)
    assert rows(mysql, written) == [(user_id, "", "", 0, 0)]


async def test_a_new_name_is_on_every_process_by_itself_and_no_older_token_brings_the_old_one_back(
    auth: Client, leaderboard: Client, second: Client, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    user_id, old = await join(auth, "Ada")
    await play(leaderboard, old, 5)
    new = await rename(auth, old, "Lovelace")
    await eventually(shows("Lovelace", on=(leaderboard, second)))

    await play(second, old, 2)
    for token in (old, new):
        answer = await leaderboard.put(f"{API}/me", headers=token)
        assert answer.json() == {"user_id": user_id, "username": "Lovelace", "total_score": 7, "rank": 1}
    assert await names(leaderboard) == await names(second) == ["Lovelace"]
    assert rows(mysql, "SELECT username FROM players") == [("Lovelace",)]
    assert await check(leaderboard_settings) == []


async def test_who_plays_for_the_first_time_with_an_old_token_is_shown_by_the_name_they_have(
    auth: Client, leaderboard: Client
) -> None:
    _, old = await join(auth, "Ada")
    await rename(auth, old, "Lovelace")
    await play(leaderboard, old, 5)
    assert await names(leaderboard) == ["Lovelace"]


async def test_one_call_deletes_a_person_everywhere(
    auth: Client,
    leaderboard: Client,
    second: Client,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
) -> None:
    user_id, ada = await join(auth, "Ada")
    await play(leaderboard, ada, 5, 6)
    await play(second, accounts.new("Bob", 1_000), 3)
    await delete(auth, ada)
    await eventually(shows("Bob", on=(leaderboard, second)))
    await is_gone(mysql, user_id)
    assert rows(mysql, "SELECT COUNT(*) FROM account_changes WHERE id = %s AND username = ''", user_id) == [(1,)]

    async def refused() -> bool:
        return [(await each.get(f"{API}/rank/me", headers=ada)).status_code for each in (leaderboard, second)] == [401, 401]

    await eventually(refused)
    for client in (leaderboard, second):
        assert_problem(await send(client, ada, 1), 401, "unauthenticated")  # the short way
        assert_problem(await client.post(f"{API}/submit?long", json={"score": 1}, headers=ada), 401, "unauthenticated")
        for method, path in (("PUT", "me"), ("DELETE", "me"), ("GET", "me/export"), ("GET", "sessions/me")):
            assert_problem(await client.request(method, f"{API}/{path}", headers=ada), 401, "unauthenticated")
    assert remains(mysql, user_id) == []
    assert await check(leaderboard_settings) == []


async def test_nothing_comes_back_that_32_submissions_of_another_device_carry_when_the_account_is_deleted(
    auth: Client, leaderboard: Client, second: Client, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    statuses: set[int] = set()
    for round_ in range(5):
        user_id, ada = await join(auth, f"Ada{round_}")
        answer = await auth.post("/auth/login", json={"username": f"Ada{round_}", "password": PASSWORD})
        device = bearer(answer.json()["access_token"])
        playing = True

        async def go_on(client: Client, token: dict[str, str]) -> None:
            while playing:  # noqa: B023 - awaited below
                answer = await send(client, token, 1)
                statuses.add(answer.status_code)
                if answer.status_code == 401:
                    await asyncio.sleep(0.05)  # it took no time: the services, in the same loop, would get none

        under_way = [asyncio.create_task(go_on(client, device)) for client in (leaderboard, second) for _ in range(16)]
        await asyncio.sleep(0.1)
        await delete(auth, ada)
        await is_gone(mysql, user_id)
        await asyncio.sleep(1)
        playing = False
        await asyncio.gather(*under_way)
        assert remains(mysql, user_id) == []
    assert statuses == {201, 401}
    assert await names(leaderboard) == await names(second) == []
    assert await check(leaderboard_settings) == []


@pytest.fixture
async def deaf(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[Client]:
    """A process that looks for changes of accounts when it starts, and then no more."""
    settings = leaderboard_settings.model_copy(update={"follower_interval": NEVER, "upkeep_seconds": NEVER})
    async with serving(create_app(settings)) as client:
        yield client


async def test_a_session_is_not_stored_of_whom_the_process_has_not_heard_that_the_account_has_ended(
    deaf: Client, accounts: Accounts, mysql: Any
) -> None:
    for user_id, name in ((1, "Ada"), (2, "Bob")):
        add_account(mysql, user_id, name)
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    rows(mysql, ENDED, 1)
    answers = await asyncio.gather(*(send(deaf, token, 1) for token in (ada, bob, ada)))
    for answer in (answers[0], answers[2]):
        assert_problem(answer, 401, "unauthenticated")
        assert "deleted" in answer.json()["detail"]
    assert answers[1].status_code == 201
    assert rows(mysql, "SELECT user_id FROM players") == rows(mysql, "SELECT user_id FROM game_sessions") == [(2,)]


async def test_a_name_is_not_taken_from_a_token_by_whom_the_process_has_not_heard_of_a_new_one(
    deaf: Client, accounts: Accounts, mysql: Any
) -> None:
    add_account(mysql, 1, "Ada")
    old = accounts.new("Ada", 1)
    await play(deaf, old, 5)
    rows(mysql, "UPDATE account_changes SET username = 'Love lace', username_canonical = 'love lace', changed_at = NOW(6)")
    await play(deaf, old, 5)
    assert await names(deaf) == ["Love lace"]


async def test_a_change_that_is_committed_long_after_its_time_is_applied(
    leaderboard: Client, accounts: Accounts, mysql: Any, other: "pymysql.cursors.Cursor"
) -> None:
    for user_id, name in ((1, "Ada"), (2, "Bob")):
        add_account(mysql, user_id, name)
        await play(leaderboard, accounts.new(name, user_id), 10 - user_id)
    other.execute(ENDED, (1,))
    await asyncio.sleep(0.01)
    # Newer, committed before, and seen.
    rows(mysql, "UPDATE account_changes SET username = 'Bobby', changed_at = NOW(6) WHERE id = 2")
    await eventually(shows("Ada", "Bobby", on=(leaderboard,)))
    other.connection.commit()
    await eventually(shows("Bobby", on=(leaderboard,)))
    await is_gone(mysql, 1)


async def test_what_became_of_accounts_while_no_process_ran_is_seen_at_the_next_start(
    accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    players = {1: "Ada", 2: "Bob", 3: "Eve"}
    tokens = {user_id: accounts.new(name, user_id) for user_id, name in players.items()}
    async with serving(create_app(leaderboard_settings)) as before:
        for user_id, token in tokens.items():
            add_account(mysql, user_id, players[user_id])
            await play(before, token, 10 - user_id)
    rows(mysql, "UPDATE account_changes SET changed_at = NOW(6) - INTERVAL 10 MINUTE, ended_at = changed_at WHERE id = 1")
    rows(mysql, "UPDATE account_changes SET changed_at = NOW(6) - INTERVAL 9 MINUTE, username = 'Bobby' WHERE id = 2")
    async with serving(create_app(leaderboard_settings)) as after:
        assert_problem(await after.get(f"{API}/rank/me", headers=tokens[1]), 401, "unauthenticated")
        await eventually(shows("Bobby", "Eve", on=(after,)))
        await is_gone(mysql, 1)
    assert await check(leaderboard_settings) == []


async def test_an_account_that_goes_on_in_a_restored_database_is_accepted_again(
    accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    for user_id in (1, 2):
        add_account(mysql, user_id, f"player{user_id}")
        rows(mysql, ENDED, user_id)
    players = [accounts.new(user_id=user_id) for user_id in (1, 2)]

    async with serving(create_app(leaderboard_settings.model_copy(update={"upkeep_seconds": 0.1}))) as client:

        async def statuses() -> list[int]:
            return [(await client.get(f"{API}/rank/me", headers=player)).status_code for player in players]

        assert await statuses() == [401, 401]
        rows(mysql, "UPDATE account_changes SET ended_at = NULL, changed_at = NULL, username = 'Ada' WHERE id = 1")

        async def accepted() -> bool:
            return await statuses() == [200, 401]

        await eventually(accepted)


async def test_the_check_sees_what_is_left_of_an_account_and_a_name_that_it_does_not_have(
    deaf: Client,
    accounts: Accounts,
    mysql: Any,
    leaderboard_settings: LeaderboardSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.leaderboard.operate.check.SETTLING_SECONDS", 0.3)
    for user_id in (1, 2, 3):
        add_account(mysql, user_id, f"player{user_id}")
        await play(deaf, accounts.new(user_id=user_id), 1)
    assert await check(leaderboard_settings) == []
    rows(mysql, ENDED, 1)
    rows(mysql, "UPDATE account_changes SET username = 'Bob' WHERE id = 3")
    expected = [
        "player 1: the account has ended, and something is left",
        "player 3: is not called as the account is",
    ]
    assert await check(leaderboard_settings) == expected
