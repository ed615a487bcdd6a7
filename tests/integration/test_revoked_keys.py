"""Keys that were revoked: each process refuses their tokens within a second, by what auth writes down."""

from typing import Any

import httpx
import jwt

from services.common.tokens import KEY_REVOKED, Scope
from services.leaderboard.app import create_app
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import send
from tests.system import Accounts, assert_problem, eventually, rows, serving

Client = httpx.AsyncClient


def revoke(mysql: Any, header: dict[str, str], age_minutes: int = 0) -> str:
    """As auth writes it down. Gives what the key is called."""
    claims = jwt.decode(header["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    client_id: str = claims["client_id"]
    statement = "INSERT INTO key_endings (client_id, ended_at) VALUES (%s, UTC_TIMESTAMP(6) - INTERVAL %s MINUTE)"
    rows(mysql, statement, client_id, age_minutes)
    return client_id


async def is_refused(client: Client, header: dict[str, str]) -> bool:
    return (await send(client, header, 5, user_id=7)).status_code == 401


async def test_a_revoked_key_is_refused_within_a_second_and_others_are_not(
    leaderboard: Client, accounts: Accounts, mysql: Any
) -> None:
    key, other = accounts.new_key(Scope.SCORES), accounts.new_key(Scope.SCORES)
    assert not await is_refused(leaderboard, key)
    revoke(mysql, key)
    # A slow machine may take longer, an idle one takes a quarter of it.
    await eventually(lambda: is_refused(leaderboard, key), seconds=10)
    answer = await send(leaderboard, key, 5, user_id=7)
    assert_problem(answer, 401, "unauthenticated")
    assert answer.json()["detail"] == KEY_REVOKED
    assert not await is_refused(leaderboard, other)


async def test_a_process_that_starts_later_refuses_it_from_the_first_request_on(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any
) -> None:
    key, old = accounts.new_key(Scope.SCORES), accounts.new_key(Scope.SCORES)
    revoke(mysql, key, age_minutes=59)
    revoke(mysql, old, age_minutes=61)  # none of its tokens is good any more
    async with serving(create_app(leaderboard_settings)) as client:
        assert await is_refused(client, key)
        assert not await is_refused(client, old)


async def test_a_key_that_a_restored_database_has_again_is_accepted(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any
) -> None:
    key = accounts.new_key(Scope.SCORES)
    client_id = revoke(mysql, key)
    # What players' accounts have come to is looked at all the while, and changes nothing of it.
    settings = leaderboard_settings.model_copy(update={"upkeep_seconds": 0.1})
    async with serving(create_app(settings)) as client:
        assert await is_refused(client, key)
        for _ in range(20):
            assert await is_refused(client, key)
        rows(mysql, "DELETE FROM key_endings WHERE client_id = %s", client_id)

        async def accepted() -> bool:
            return not await is_refused(client, key)

        await eventually(accepted)
