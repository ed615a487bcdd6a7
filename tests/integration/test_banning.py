"""A banned player is on no board, and plays on unseen. Unbanned, everything is as if there had been no ban."""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.common.tokens import KeyPrincipal, Scope
from services.leaderboard.app import create_app
from services.leaderboard.boards.clock import utc_now
from services.leaderboard.moderation import bans
from services.leaderboard.moderation.entries import Order
from services.leaderboard.operate.check import check
from services.leaderboard.players import changes, folding
from services.leaderboard.rules.places import Place, pack
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, define, make, tagged
from tests.faults.proxy import COMMIT, Fault, proxying
from tests.moderating import WHY, ban, moderator, unban
from tests.playing import API, get, play, remove, send, submit
from tests.system import Accounts, assert_problem, eventually, rows, rows_are_awaited, serving
from tests.writing import check_standings, counting

ALPS = define("alps", direction="ascending", windows=(ALL, DAY))
ORDER = Order(KeyPrincipal("key-a", frozenset({Scope.MODERATE})), WHY)
STORES = b"INSERT INTO game_sessions"


async def seen(client: httpx.AsyncClient) -> list[list[tuple[int, int, int]]]:
    """Rank, player and score of everybody, by place."""
    found = []
    for board, window in (("alps", "all"), ("alps", "day"), ("main", "all")):
        page = await client.get(f"{API}/boards/{board}/top", params={"window": window})
        found.append([(row["rank"], row["user_id"], row["score"]) for row in page.json()["top"]])
    return found


async def test_a_banned_player_is_on_no_board_at_once_and_whole_again_with_what_they_played_meanwhile(
    leaderboard: httpx.AsyncClient,
    leaderboard_database: Database,
    leaderboard_settings: LeaderboardSettings,
    accounts: Accounts,
) -> None:
    await make(leaderboard_database, ALPS)
    both: dict[str, Any] = {"boards": ["alps", "main"]}
    staff, ada, bob = moderator(accounts), accounts.new("Ada", 1), accounts.new("Bob", 2)
    for player, score in ((ada, 30), (bob, 40), (ada, 20)):
        await submit(leaderboard, player, score, **both)
    async with serving(create_app(leaderboard_settings)) as other:
        before = await seen(other)
        assert before == [[(1, 1, 20), (2, 2, 40)]] * 2 + [[(1, 1, 50), (2, 2, 40)]]
        banned = await ban(leaderboard, staff, 1)
        assert (banned["user_id"], banned["username"], banned["standings"]) == (1, "Ada", [])
        assert banned["banned_at"] is not None
        assert await seen(other) == await seen(leaderboard) == [[(1, 2, 40)]] * 3
        assert_problem(await other.get(f"{API}/rank/1"), 404, "player-not-found")
        assert (await get(other, "rank/me", ada))["rank"] is None
        assert await check(leaderboard_settings) == []
        played = await submit(other, ada, 10, "while-banned", **both)
        assert (played["total_score"], played["rank"]) == (0, None)
        assert [(each["score"], each["rank"]) for each in played["standings"]] == [(None, None)] * 3
        again = await send(leaderboard, ada, 10, "while-banned", **both)
        assert (again.status_code, again.json()["session_id"]) == (201, played["session_id"])
        assert await seen(other) == await seen(leaderboard) == [[(1, 2, 40)]] * 3
        assert await check(leaderboard_settings) == []
        shown = await unban(leaderboard, staff, 1)
        assert (shown["banned_at"], len(shown["standings"])) == (None, 3)
        assert {(each["board"], each["score"], each["rank"]) for each in shown["standings"]} == {
            ("alps", 10, 1),
            ("main", 60, 1),
        }
        assert await seen(other) == [[(1, 1, 10), (2, 2, 40)]] * 2 + [[(1, 1, 60), (2, 2, 40)]]
        assert await check(leaderboard_settings) == []


async def test_without_a_session_meanwhile_unbanning_brings_back_exactly_what_was(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any
) -> None:
    staff = moderator(accounts)
    for user_id in (1, 2):
        await play(leaderboard, accounts.new(user_id=user_id), 5, 0, 5)
    was = "SELECT user_id, score, sort, sessions, reached_session_id FROM standings"
    before, page = rows(mysql, was), (await get(leaderboard, "top"))["top"]
    for _ in range(2):
        await ban(leaderboard, staff, 1)
    assert rows(mysql, f"{was} WHERE user_id = 1") == [(1, None, None, 0, 0)]
    for _ in range(2):
        await unban(leaderboard, staff, 1)
    assert (rows(mysql, was), (await get(leaderboard, "top"))["top"]) == (before, page)
    assert len(rows(mysql, "SELECT id FROM moderation_log")) == 2


async def test_a_system_may_refuse_what_banned_players_submit(
    leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any
) -> None:
    strict = leaderboard_settings.model_copy(update={"banned_submissions": "refuse"})
    ada, bob = accounts.new("Ada", 1), accounts.new("Bob", 2)
    async with serving(create_app(strict)) as client:
        first = (await submit(client, ada, 5, "first"))["session_id"]
        await ban(client, moderator(accounts), 1)
        answers = await asyncio.gather(send(client, ada, 6), send(client, bob, 7), send(client, ada, 5, "first"))
        assert_problem(answers[0], 403, "player-banned")
        assert answers[1].json()["total_score"] == 7
        assert (answers[2].status_code, answers[2].json()["session_id"]) == (201, first)
        assert [row[0] for row in rows(mysql, "SELECT score FROM game_sessions ORDER BY id")] == [5, 7]
        await unban(client, moderator(accounts), 1)
        assert (await submit(client, ada, 6))["total_score"] == 11


async def test_who_leaves_does_not_escape_the_ban(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    await play(leaderboard, ada, 5)
    await ban(leaderboard, staff, 1)
    await submit(leaderboard, ada, 6, "kept")
    for _ in range(2):
        await remove(leaderboard, ada)
    assert rows(mysql, "SELECT username, banned_at IS NOT NULL FROM players") == [("", 1)]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    assert (await get(leaderboard, "me/export", ada))["player"] is None
    assert (await send(leaderboard, ada, 6, "kept")).status_code == 409
    await submit(leaderboard, ada, 7)
    assert (await get(leaderboard, "top"))["top"] == []
    assert (await unban(leaderboard, staff, 1))["standings"][0]["score"] == 7
    await ban(leaderboard, staff, 1)
    await remove(leaderboard, ada)
    assert (await unban(leaderboard, staff, 1))["username"] is None
    assert rows(mysql, "SELECT COUNT(*) FROM players") == [(0,)]
    assert await check(leaderboard_settings) == []


async def test_who_has_an_account_and_has_not_played_can_be_banned_and_nobody_else(
    leaderboard: httpx.AsyncClient, accounts: Accounts, mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    staff, ada = moderator(accounts), accounts.new("Ada", 1)
    account = "INSERT INTO account_changes (id, username, username_canonical, ended_at) VALUES (%s, %s, %s, %s)"
    rows(mysql, account, 1, "Ada", "ada", None)
    rows(mysql, account, 2, "", "", "2026-01-01")
    for user_id in (2, 3):
        for path in ("ban", "unban"):
            refused = await leaderboard.post(f"{API}/players/{user_id}/{path}", json={"reason": WHY}, headers=staff)
            assert_problem(refused, 404, "player-not-found")
    assert (await ban(leaderboard, staff, 1))["username"] is None
    await submit(leaderboard, ada, 5)
    assert (await get(leaderboard, "top"))["top"] == []
    assert await check(leaderboard_settings) == []
    await unban(leaderboard, staff, 1)
    assert [row["username"] for row in (await get(leaderboard, "top"))["top"]] == ["Ada"]


async def test_a_ban_that_comes_between_the_two_packets_of_a_group_takes_back_what_it_counted(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> None:
    tags = {"track": "alps"}
    await make(leaderboard_database, tagged("alps", "alps", direction="ascending", windows=(ALL, DAY)))
    async with proxying(leaderboard_settings.mysql_host, leaderboard_settings.mysql_port) as proxy:
        behind = leaderboard_settings.model_copy(update={"mysql_port": proxy.port})
        async with counting(leaderboard_settings) as other, counting(behind) as process:
            await other.submit(1, 50, boards=["main"])
            await process.submit(2, 1, tags=tags)
            proxy.strike(Fault.DELAYED, COMMIT, after=STORES)
            asking = asyncio.create_task(process.submit(1, 40, tags=tags))
            await proxy.struck.wait()
            banning = asyncio.create_task(leaderboard_database.transaction(partial(bans.ban, user_id=1, order=ORDER)))
            await eventually(lambda: rows_are_awaited(mysql))
            proxy.release()
            submitted = await asking
            await banning
            assert {rank.score for rank in submitted.ranks} == {40, 90}
            assert rows(mysql, "SELECT score, sessions FROM standings WHERE user_id = 1") == [(None, 0)] * 3
            # The player's first session in a place: there is no standing of theirs, and none is made.
            await make(leaderboard_database, define("laps", metric="laps", windows=(ALL,)))
            await other.submit(1, 3, boards=["laps"], metrics={"laps": 9})
            assert rows(mysql, "SELECT COUNT(*) FROM standings WHERE user_id = 1") == [(3,)]
            assert await check_standings(leaderboard_settings) == []
            await leaderboard_database.transaction(partial(bans.unban, user_id=1, order=ORDER))
            standings = "SELECT score, sessions FROM standings WHERE user_id = 1 ORDER BY board_id, period_id"
            assert rows(mysql, standings) == [(90, 2), (40, 1), (40, 1), (9, 1)]
    assert await check_standings(leaderboard_settings) == []


@pytest.mark.parametrize("interrupted", [False, True])
async def test_very_many_standings_are_folded_in_batches_current_ones_first_and_others_go_on_with_it(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any, interrupted: bool
) -> None:
    many = 2 * folding.ROWS_AT_ONCE + 10
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO periods (id, board_id, window_id, number, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, 1, 9, %s, %s, %s, %s, %s)",
            [
                (n, n, f"2026-01-01 00:00:00.{n:06}", "2026-01-02", "2026-01-02", "settled" if n < many else "open")
                for n in range(1, many + 1)
            ],
        )
        cursor.executemany(
            "INSERT INTO game_sessions (user_id, submission_key, group_id, score, submitted_at, places)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [(1, f"s:{n}", b"0" * 16, n, "2026-01-01", pack([Place(1, n)])) for n in range(1, many + 1)],
        )
        cursor.execute("INSERT INTO players (user_id, username) VALUES (1, 'Ada')")

    async def finish() -> None:
        if interrupted:  # whoever began is gone
            while await leaderboard_database.transaction(
                lambda connection: changes.finish_foldings(connection, utc_now(), 500)
            ):
                pass
        else:
            while (await leaderboard_database.transaction(lambda connection: changes.fold(connection, 1))).pending:
                pass

    ranked = "SELECT COUNT(*), COALESCE(MAX(period_id), 0) FROM standings WHERE score IS NOT NULL"
    await leaderboard_database.transaction(lambda connection: changes.fold(connection, 1))
    assert rows(mysql, ranked) == [(folding.ROWS_AT_ONCE, many)]
    assert rows(mysql, "SELECT user_id FROM foldings") == [(1,)]
    assert await check_standings(leaderboard_settings) == []
    await finish()
    assert rows(mysql, ranked) == [(many, many)]
    banned = await leaderboard_database.transaction(partial(bans.ban, user_id=1, order=ORDER))
    assert banned.pending
    assert rows(mysql, ranked) == [(many - folding.ROWS_AT_ONCE, many - 1)]
    await finish()
    assert rows(mysql, ranked) == [(0, 0)]
    assert rows(mysql, "SELECT COUNT(*) FROM foldings") == [(0,)]
    assert rows(mysql, "SELECT COUNT(*), SUM(JSON_LENGTH(changed)) FROM outbox") == [(6, 2 * many)]
    assert await check_standings(leaderboard_settings) == []
