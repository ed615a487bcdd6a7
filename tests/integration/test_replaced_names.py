"""Moderators replace a player's name by a made-up one, which the boards show, and nobody has the old one again."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.auth.settings import AuthSettings
from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API, play
from tests.signing_in import Clock, register, sign_in
from tests.staffing import Headers, claims, equip, new_staff
from tests.system import Accounts, assert_problem, eventually, rows, serving

Client = httpx.AsyncClient
WHY = "an insult"


@pytest.fixture
async def moderator(timed_auth: Client, auth_settings: AuthSettings, clock: Clock) -> Headers:
    return (await equip(timed_auth, await new_staff(timed_auth, auth_settings, "Moira", "moderator"), clock.now)).headers


@pytest.fixture
async def player(timed_auth: Client) -> Headers:
    await register(timed_auth, "Rude Name")
    return (await sign_in(timed_auth, username="Rude Name"))[0]


def number(headers: Headers) -> int:
    return int(claims(headers)["sub"])


async def replace(client: Client, headers: Headers, user_id: int, reason: object = WHY) -> httpx.Response:
    return await client.post(f"/auth/users/{user_id}/name-replacement", json={"reason": reason}, headers=headers)


async def test_nobody_has_the_old_name_again_and_the_log_says_who_took_it(
    timed_auth: Client, moderator: Headers, player: Headers, clock: Clock, mysql: Any
) -> None:
    answer = await replace(timed_auth, moderator, number(player))
    assert answer.status_code == 200, answer.text
    name = answer.json()["username"]
    assert answer.json() == {"user_id": number(player), "username": name}
    assert (await timed_auth.get("/auth/me", headers=player)).json()["username"] == name
    clock.now += timedelta(minutes=5)
    taking = {"username": "rude name"}
    assert_problem(await timed_auth.put("/auth/me/username", json=taking, headers=player), 409, "username-taken")
    assert_problem(await register(timed_auth, "RUDE NAME"), 409, "username-taken")
    clock.now += timedelta(days=4_000)
    assert_problem(await register(timed_auth, "Rude Name"), 409, "username-taken")
    [(detail,)] = rows(mysql, "SELECT detail FROM audit_events WHERE event = 'username_replaced'")
    assert json.loads(detail) == {"reason": WHY, "by": number(moderator)}


async def test_the_player_goes_on_signs_in_by_the_new_name_and_may_choose_another(
    timed_auth: Client, moderator: Headers, player: Headers
) -> None:
    name = (await replace(timed_auth, moderator, number(player))).json()["username"]
    assert number((await sign_in(timed_auth, username=name))[0]) == number(player)
    chosen = await timed_auth.put("/auth/me/username", json={"username": "Polite"}, headers=player)
    assert chosen.status_code == 200, chosen.text


async def test_boards_show_the_new_name_by_themselves(
    timed_auth: Client,
    moderator: Headers,
    player: Headers,
    accounts: Accounts,
    leaderboard_settings: LeaderboardSettings,
) -> None:
    async with serving(create_app(leaderboard_settings)) as leaderboard:
        await play(leaderboard, accounts.new("Rude Name", number(player)), 5)
        name = (await replace(timed_auth, moderator, number(player))).json()["username"]

        async def shown() -> bool:
            [row] = (await leaderboard.get(f"{API}/top")).json()["top"]
            return bool(row["username"] == name)

        await eventually(shown)


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "a" * 501, None, 7])
async def test_it_has_a_reason_of_one_line(timed_auth: Client, moderator: Headers, player: Headers, reason: object) -> None:
    assert_problem(await replace(timed_auth, moderator, number(player), reason), 422, "invalid-request")


async def test_whose_name_it_must_not_be(timed_auth: Client, moderator: Headers, player: Headers) -> None:
    assert_problem(await replace(timed_auth, moderator, 4711), 404, "not-found")
    assert_problem(await replace(timed_auth, moderator, number(moderator)), 409, "name-of-staff")
    assert_problem(await replace(timed_auth, player, number(player)), 403, "insufficient-scope")


async def test_a_key_that_is_not_live_replaces_nothing(timed_auth: Client, player: Headers, accounts: Accounts) -> None:
    assert_problem(await replace(timed_auth, accounts.new_key(Scope.MODERATE), number(player)), 401, "unauthenticated")
    assert (await timed_auth.get("/auth/me", headers=player)).json()["username"] == "Rude Name"
