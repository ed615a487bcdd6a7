"""Players are found by what their names begin with, the best first."""

from typing import Any

import httpx
import pytest

from services.common.names import canonical
from services.leaderboard.players.search import MOST_FOUND, MOST_NAMES
from tests.moderating import ban, moderator, unban
from tests.playing import API, add_account, play, remove
from tests.reading import Both, from_mysql, indexed, same
from tests.signing_in import register, sign_in
from tests.staffing import claims
from tests.system import PASSWORD, Accounts, assert_problem, eventually, rows

FOUND = {"Ada Lovelace": 30, "ADA": 7, "adam_smith": 30, "Ado": 12, "adamxsmith": None, "Adélaïde": None, "Bob": 50}


async def names(client: httpx.AsyncClient, beginning: str) -> list[str]:
    """Who is found."""
    answer = await client.get(f"{API}/players", params={"name": beginning})
    assert answer.status_code == 200, answer.text
    return [each["username"] for each in answer.json()["players"]]


async def played(client: httpx.AsyncClient, mysql: Any, accounts: Accounts, named: dict[str, int | None]) -> None:
    """Accounts that have played on the main board; who has no score has had a session voided."""
    staff = moderator(accounts)
    for user_id, (name, score) in enumerate(named.items(), 101):
        add_account(mysql, user_id, name)
        [session_id] = await play(client, accounts.new(name, user_id), score or 1)
        if score is None:
            assert (await client.post(f"{API}/sessions/{session_id}/void", json={"reason": "no"}, headers=staff)).is_success


async def test_the_best_come_first_and_those_who_are_not_ranked_last_by_name(
    services: Both, mysql: Any, accounts: Accounts
) -> None:
    await played(services[0], mysql, accounts, FOUND)
    await indexed(services, "main")
    found = (await same(services, "/players", params={"name": "AD"}))["players"]
    assert [(each["username"], each["score"], each["rank"]) for each in found] == [
        ("Ada Lovelace", 30, 2),
        ("adam_smith", 30, 2),
        ("Ado", 12, 4),
        ("ADA", 7, 5),
        ("adamxsmith", None, None),
        ("Adélaïde", None, None),
    ]
    assert [each["user_id"] for each in found] == [101, 103, 104, 102, 105, 106]

    async def is_told_by_the_index() -> bool:
        asked_before = await from_mysql(services[0])
        assert (await services[0].get(f"{API}/players", params={"name": "ad"})).json()["players"] == found
        return await from_mysql(services[0]) == asked_before

    await eventually(is_told_by_the_index)


@pytest.mark.parametrize(
    ("beginning", "found"),
    [
        ("ada", ["Ada Lovelace", "adam_smith", "ADA", "adamxsmith"]),
        ("ada ", ["Ada Lovelace"]),  # to MySQL, "ada" is as good
        ("Ａｄａ", ["Ada Lovelace", "adam_smith", "ADA", "adamxsmith"]),
        ("ADÉ", ["Adélaïde"]),
        ("ade\u0301", ["Adélaïde"]),
        ("adam_", ["adam_smith"]),
        ("adam%", []),
        ("a%", []),
        ("%%", []),
        ("__", []),
        ("\\_", []),
        ("adam\\", []),
        ("'; --", []),
        ("a\0", []),
        ("\U0010ffff\U0010ffff", []),
        ("🦦🦦", []),
        (" ada", []),
        ("b" * 64, []),
        ("bo", ["Bob"]),
    ],
)
async def test_every_character_means_itself_and_case_and_width_nothing(
    leaderboard: httpx.AsyncClient, mysql: Any, accounts: Accounts, beginning: str, found: list[str]
) -> None:
    await played(leaderboard, mysql, accounts, FOUND)
    assert await names(leaderboard, beginning) == found


@pytest.mark.parametrize("beginning", [None, "", "a", "é", "b" * 65])
async def test_a_name_begins_with_2_to_64_characters(leaderboard: httpx.AsyncClient, beginning: str | None) -> None:
    answer = await leaderboard.get(f"{API}/players", params={} if beginning is None else {"name": beginning})
    assert_problem(answer, 422, "invalid-request")
    assert [error["parameter"] for error in answer.json()["errors"]] == ["name"]


async def test_who_has_no_account_or_has_not_played_or_is_banned_or_has_left_is_not_found(
    leaderboard: httpx.AsyncClient, mysql: Any, accounts: Accounts
) -> None:
    await played(leaderboard, mysql, accounts, {"Grace": 5, "Grant": 6})
    add_account(mysql, 103, "Gray")
    await play(leaderboard, accounts.new("Graham", 104), 1)
    assert await names(leaderboard, "gra") == ["Grant", "Grace"]
    await ban(leaderboard, moderator(accounts), 102)
    assert await names(leaderboard, "gra") == ["Grace"]
    await unban(leaderboard, moderator(accounts), 102)
    assert await names(leaderboard, "gra") == ["Grant", "Grace"]
    await ban(leaderboard, moderator(accounts), 102)
    for user_id in (101, 102):
        await remove(leaderboard, accounts.new(user_id=user_id))
    await unban(leaderboard, moderator(accounts), 102)
    assert await names(leaderboard, "gra") == []


async def test_a_name_that_somebody_does_not_have_any_more_finds_nobody_at_once(
    auth: httpx.AsyncClient, leaderboard: httpx.AsyncClient, accounts: Accounts
) -> None:
    await register(auth, "Countess")
    headers, _ = await sign_in(auth, username="Countess")
    user_id = int(claims(headers)["sub"])
    await play(leaderboard, accounts.new("Countess", user_id), 3)
    assert await names(leaderboard, "count") == ["Countess"]
    renamed = await auth.put("/auth/me/username", json={"username": "Lovelace"}, headers=headers)
    assert renamed.status_code == 200, renamed.text
    assert (await names(leaderboard, "count"), await names(leaderboard, "LOVE")) == ([], ["Lovelace"])
    assert (await leaderboard.get(f"{API}/players/{user_id}")).json()["username"] == "Lovelace"
    deletion = await auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=headers)
    assert deletion.status_code == 204, deletion.text
    assert await names(leaderboard, "love") == []
    for path in (f"players/{user_id}", f"players/{user_id}/best"):
        assert_problem(await leaderboard.get(f"{API}/{path}"), 404, "player-not-found")


async def test_of_the_first_names_the_best_are_found_however_many_begin_so(leaderboard: httpx.AsyncClient, mysql: Any) -> None:
    people = [(number, f"Otter{number:03}") for number in range(1, MOST_NAMES + 51)]
    with mysql.cursor() as cursor:
        accounts = "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)"
        cursor.executemany(accounts, [(user_id, name, canonical(name)) for user_id, name in people])
        cursor.executemany("INSERT INTO players (user_id, username) VALUES (%s, %s)", people)
        cursor.executemany(
            "INSERT INTO standings (board_id, period_id, user_id, score, sort, sessions, reached_session_id, version)"
            " VALUES (1, 0, %s, %s, %s, 1, %s, 1)",
            [(user_id, user_id, -user_id, user_id) for user_id, _ in people],
        )
    found = (await leaderboard.get(f"{API}/players", params={"name": "otter"})).json()["players"]
    best = range(MOST_NAMES, MOST_NAMES - MOST_FOUND, -1)
    assert [each["user_id"] for each in found] == list(best)
    assert await names(leaderboard, "otter250") == ["Otter250"]
    rows(mysql, "UPDATE account_changes SET username = 'Seal', username_canonical = 'seal' WHERE id = 200")
    assert (await names(leaderboard, "otter"))[0] == "Otter201"
