"""Game servers submit for players, with a key: whose session it is, when it was played, and on which boards only they may."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.common.mysql.database import Database
from services.common.tokens import Scope
from services.leaderboard.app import create_app
from services.leaderboard.boards.board import WindowDefinition
from services.leaderboard.boards.catalogue import INTERVAL_SECONDS
from services.leaderboard.log.erased_keys import REMEMBERED
from services.leaderboard.operate.check import check
from services.leaderboard.rules.calendar import Schedule
from services.leaderboard.settings import LeaderboardSettings
from tests.boards import ALL, DAY, SEASON, define, make, tagged
from tests.moderating import ban, moderator, unban, void
from tests.playing import API, remove, send, submit
from tests.system import Accounts, assert_problem, eventually, rows, rows_are_awaited, serving

Client = httpx.AsyncClient

ADA, BOB, GONE = 7, 8, 9
KEY = "round-3"
# What is played late counts for a day after the hour that it was played in.
HOUR = WindowDefinition("hour", Schedule(datetime.fromisoformat("2026-01-01T00:00:00"), 3600, "seconds"), grace_seconds=86_400)
ALPS = tagged("alps", "alps", windows=(ALL, HOUR, DAY, SEASON))
TRUSTED = tagged("trusted", "alps", submitters="servers", windows=(ALL,))
MALFORMED: tuple[object, ...] = (
    "",
    "now",
    1_764_000_000,
    1_764_000_000.5,
    "1764000000",
    True,
    [],
    "2026-11-25",
    "2026-11-25T10:00:00",
    "2026-11-25T10:00Z",
    "2026-11-25 10:00:00Z",
    "2026-11-25T10:00:00+0100",
    "2026-11-25T10:00:00+01",
    "2026-11-25T10:00:00Z\n",
    "2026-11-25T10:00:00.Z",
    "2026-11-25T24:00:01Z",
    "2026-11-25T10:00:60Z",
    "2026-02-30T10:00:00Z",
    "2026-11-25T10:00:00+24:00",
    "２０２６-11-25T10:00:00Z",
    "1969-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "2999-01-01T00:00:00Z",
)


@pytest.fixture
async def service(
    leaderboard_settings: LeaderboardSettings, leaderboard_database: Database, mysql: Any
) -> AsyncIterator[Client]:
    """The service, on a database with boards, two users and one who has left."""
    await make(leaderboard_database, ALPS, TRUSTED)
    for user_id, name in ((ADA, "Ada"), (BOB, "Bob"), (GONE, "Gone")):
        statement = "INSERT INTO account_changes (id, username, username_canonical) VALUES (%s, %s, %s)"
        rows(mysql, statement, user_id, name, name.lower())
    rows(mysql, "UPDATE account_changes SET username = '', username_canonical = '', ended_at = NOW(6) WHERE id = %s", GONE)
    async with serving(create_app(leaderboard_settings)) as client:
        yield client


@pytest.fixture
def server(accounts: Accounts) -> dict[str, str]:
    """A game server's header."""
    return accounts.new_key(Scope.SCORES)


def mysql_now(mysql: Any) -> datetime:
    [(now,)] = rows(mysql, "SELECT NOW(6)")
    assert isinstance(now, datetime)
    return now.replace(tzinfo=UTC)


def places(answer: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Where a session counts, with the player's score there."""
    return {(each["board"], each["window"]): each["score"] for each in answer["standings"]}


async def test_a_server_submits_for_any_player_by_the_name_that_the_account_has(
    service: Client, server: dict[str, str], mysql: Any
) -> None:
    answer = await submit(service, server, 30, user_id=ADA)
    assert (answer["user_id"], answer["username"], answer["total_score"], answer["rank"]) == (ADA, "Ada", 30, 1)
    assert (await submit(service, server, 50, user_id=BOB))["username"] == "Bob"
    assert [row["username"] for row in (await service.get(f"{API}/top")).json()["top"]] == ["Bob", "Ada"]
    assert rows(mysql, "SELECT user_id, score, played_at FROM game_sessions ORDER BY id") == [(ADA, 30, None), (BOB, 50, None)]


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8"], ids=["shortcut", "route"])
async def test_a_server_and_a_player_are_answered_alike(
    service: Client, server: dict[str, str], accounts: Accounts, media_type: str
) -> None:
    by_server = await service.post(
        f"{API}/submit", content=b'{"score":4,"user_id":7}', headers={**server, "content-type": media_type}
    )
    own = await service.post(
        f"{API}/submit", content=b'{"score":4}', headers={**accounts.new("Bob", BOB), "content-type": media_type}
    )
    assert by_server.status_code == own.status_code == 201
    assert {*by_server.headers} == {*own.headers}
    assert by_server.json().keys() == own.json().keys()
    assert [each.keys() for each in by_server.json()["standings"]] == [each.keys() for each in own.json()["standings"]]


@pytest.mark.parametrize("said", [{"user_id": ADA}, {"user_id": BOB}, {"played_at": "2026-11-25T10:00:00Z"}])
@pytest.mark.parametrize("scopes", [(), tuple(Scope)], ids=["player", "admin"])
async def test_a_user_says_neither_whose_session_it_is_nor_when_it_was_played(
    service: Client, accounts: Accounts, mysql: Any, said: dict[str, Any], scopes: tuple[Scope, ...]
) -> None:
    for media_type in ("application/json", "application/json; charset=utf-8"):
        headers = {**accounts.new("Ada", ADA, scopes=scopes), "content-type": media_type}
        answer = await send(service, headers, 5, **said)
        assert_problem(answer, 403, "not-for-players")
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"#/{name}" for name in said]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.SCORES])
async def test_a_key_without_the_scope_is_refused(service: Client, accounts: Accounts, scope: Scope, mysql: Any) -> None:
    answer = await send(service, accounts.new_key(scope), 5, user_id=ADA)
    assert_problem(answer, 403, "insufficient-scope")
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="scores:write"'
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


@pytest.mark.parametrize(
    ("said", "kind", "pointer"),
    [
        ({}, "invalid-request", "#/user_id"),
        ({"user_id": None}, "invalid-request", "#/user_id"),
        ({"user_id": 0}, "invalid-request", "#/user_id"),
        ({"user_id": -7}, "invalid-request", "#/user_id"),
        ({"user_id": 2**63}, "invalid-request", "#/user_id"),
        ({"user_id": "7"}, "invalid-request", "#/user_id"),
        ({"user_id": 7.5}, "invalid-request", "#/user_id"),
        ({"user_id": True}, "invalid-request", "#/user_id"),
        ({"user_id": 4711}, "unknown-user", "#/user_id"),
        ({"user_id": 2**63 - 1}, "unknown-user", "#/user_id"),
        ({"user_id": GONE}, "unknown-user", "#/user_id"),
        ({"user_id": ADA, "boards": ["nowhere"]}, "invalid-request", "#/boards/0"),
        *(({"user_id": ADA, "played_at": time}, "invalid-request", "#/played_at") for time in MALFORMED),
    ],
)
async def test_what_a_server_says_wrong_is_pointed_at_and_nothing_is_stored(
    service: Client, server: dict[str, str], mysql: Any, said: dict[str, Any], kind: str, pointer: str
) -> None:
    for media_type in ("application/json", "application/json; charset=utf-8"):
        answer = await send(service, {**server, "content-type": media_type}, 5, **said)
        assert_problem(answer, 422, kind)
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    for table in ("game_sessions", "standings", "players", "outbox", "periods"):
        assert rows(mysql, f"SELECT COUNT(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("spelt", ["{:%FT%T}Z", "{:%FT%T.%f}z", "{:%Ft%T}+00:00", "{:%FT%T}.123456789-00:00"])
async def test_a_time_is_taken_in_every_spelling_of_rfc_3339(
    service: Client, server: dict[str, str], mysql: Any, spelt: str
) -> None:
    time = mysql_now(mysql) - timedelta(minutes=1)
    await submit(service, server, 5, user_id=ADA, played_at=spelt.format(time))
    [(stored,)] = rows(mysql, "SELECT played_at FROM game_sessions")
    assert stored.replace(microsecond=0) == time.replace(microsecond=0, tzinfo=None)


async def test_a_servers_clock_may_be_five_seconds_ahead_of_mysqls(service: Client, server: dict[str, str], mysql: Any) -> None:
    ahead = (mysql_now(mysql) + timedelta(seconds=6)).isoformat()
    answer = await send(service, server, 5, user_id=ADA, played_at=ahead)
    assert_problem(answer, 422, "invalid-request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/played_at"]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    await submit(service, server, 5, user_id=ADA, played_at=(mysql_now(mysql) + timedelta(seconds=4)).isoformat())


async def test_when_it_was_played_decides_the_periods_and_one_that_has_closed_does_not_count(
    service: Client, server: dict[str, str], mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    now, tags = mysql_now(mysql), {"track": "alps"}
    everywhere = {("alps", "all"), ("alps", "hour"), ("alps", "day"), ("main", "all"), ("trusted", "all")}
    current = await submit(service, server, 5, user_id=ADA, tags=tags)
    assert set(places(current)) == everywhere
    # An hour is open for a day after its end.
    earlier = (now - timedelta(hours=2)).isoformat()
    late = await submit(service, server, 3, user_id=ADA, tags=tags, played_at=earlier)
    assert places(late)["alps", "hour"] == 3
    ids = [{each["window"]: each["period_id"] for each in answer["standings"]} for answer in (current, late)]
    assert ids[0]["hour"] != ids[1]["hour"]
    # A day is open for a minute after its end, and so is not the one before yesterday; nor is the hour.
    closed = await submit(service, server, 2, user_id=ADA, tags=tags, played_at=(now - timedelta(days=2)).isoformat())
    assert set(places(closed)) == everywhere - {("alps", "hour"), ("alps", "day")}
    assert closed["total_score"] == 10
    # What counts now is not disturbed by what was played before.
    again = await submit(service, server, 4, user_id=ADA, tags=tags)
    assert {each["window"]: each["period_id"] for each in again["standings"]} == ids[0]
    assert await check(leaderboard_settings) == []


async def test_periods_of_years_ago_are_not_made(service: Client, server: dict[str, str], mysql: Any) -> None:
    for year in (1970, 1999, 2026):
        answer = await submit(service, server, 5, user_id=ADA, tags={"track": "alps"}, played_at=f"{year}-01-01T00:00:00Z")
        assert set(places(answer)) == {("alps", "all"), ("main", "all"), ("trusted", "all")}
    assert rows(mysql, "SELECT COUNT(*) FROM periods") == [(0,)]


async def test_a_period_that_is_there_and_has_closed_does_not_count(
    service: Client, server: dict[str, str], mysql: Any
) -> None:
    """Whoever asks has it from MySQL, as closed or, where nobody has written that down, as over."""
    now = mysql_now(mysql).replace(microsecond=0)
    [(board_id, window_id)] = rows(
        mysql, "SELECT board_id, windows.id FROM windows JOIN boards ON boards.id = board_id WHERE windows.name = 'season'"
    )
    for number, state in enumerate(("open", "closed"), 1):
        starts_at = now - timedelta(hours=2 * number)
        times = [time.replace(tzinfo=None) for time in (starts_at, starts_at + timedelta(hours=1), now)]
        rows(
            mysql,
            "INSERT INTO periods (board_id, window_id, number, title, starts_at, ends_at, closes_at, state)"
            " VALUES (%s, %s, %s, 'Season', %s, %s, %s, %s)",
            *(board_id, window_id, number, *times, state),
        )
        played_at = (starts_at + timedelta(minutes=30)).isoformat()
        answer = await submit(service, server, 5, user_id=ADA, boards=["alps"], played_at=played_at)
        assert set(places(answer)) == {("alps", "all"), ("alps", "hour"), ("alps", "day")} or now.hour < 5
        assert ("alps", "season") not in places(answer)


async def test_the_next_period_may_begin_with_a_server_that_is_ahead(
    service: Client, server: dict[str, str], mysql: Any, leaderboard_database: Database
) -> None:
    begins = mysql_now(mysql).replace(microsecond=0) + timedelta(seconds=4)
    soon = WindowDefinition("soon", Schedule(begins.replace(tzinfo=None), 60, "seconds"), grace_seconds=10)
    await make(leaderboard_database, define("soon", windows=(ALL, soon)))
    answer = await submit(service, server, 5, user_id=ADA, boards=["soon"], played_at=begins.isoformat())
    assert set(places(answer)) == {("soon", "all"), ("soon", "soon")}
    if mysql_now(mysql) < begins:
        now = await submit(service, server, 6, user_id=ADA, boards=["soon"])
        assert set(places(now)) == {("soon", "all")} or mysql_now(mysql) >= begins


async def test_a_repeat_is_the_same_session_whichever_key_of_the_studio_sends_it(
    service: Client, server: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    played_at = (mysql_now(mysql) - timedelta(hours=1)).isoformat()
    first = await send(service, server, 5, KEY, user_id=ADA, played_at=played_at)
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    for headers in (server, accounts.new_key(Scope.SCORES, Scope.BOARDS)):
        again = await send(service, headers, 5, KEY, user_id=ADA, played_at=played_at)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
        assert again.json() == first.json()
    for said in ({}, {"played_at": (mysql_now(mysql) - timedelta(hours=2)).isoformat()}):
        assert_problem(await send(service, server, 5, KEY, user_id=ADA, **said), 422, "idempotency-key-reused")
    other = await send(service, server, 5, KEY, user_id=BOB, played_at=played_at)
    assert (other.status_code, "idempotent-replayed" in other.headers) == (201, False)


async def test_submission_keys_of_servers_of_players_and_of_the_service_never_meet(
    service: Client, server: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new("Ada", ADA)
    for number, (headers, said) in enumerate(((server, {"user_id": ADA}), (ada, {})), 1):
        for key in (KEY, f"g:{KEY}", f"c:{KEY}", f"s:{KEY}"):
            answer = await send(service, headers, number, key, **said)
            assert answer.status_code == 201
            assert "idempotent-replayed" not in answer.headers
    await submit(service, server, 3, user_id=ADA)
    kept = [key for (key,) in rows(mysql, "SELECT submission_key FROM game_sessions ORDER BY id")]
    assert kept[0] == b"g:round-3"
    assert kept[4] == b"c:round-3"
    assert kept[8][:2] == b"s:"
    assert len(set(kept)) == 9
    exported = (await service.get(f"{API}/me/export", headers=ada)).json()["sessions"]
    assert [session["idempotency_key"] for session in exported] == [
        *(2 * [KEY, f"g:{KEY}", f"c:{KEY}", f"s:{KEY}"]),
        None,
    ]


async def test_repeats_that_come_at_the_same_time_are_one_session(
    service: Client, server: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    sent = [send(service, server, 4, KEY, user_id=ADA) for _ in range(8)]
    sent += [send(service, accounts.new("Ada", ADA), 4, KEY) for _ in range(8)]
    answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {201}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 2
    assert rows(mysql, "SELECT score, sessions FROM standings WHERE board_id = 1 AND period_id = 0") == [(8, 2)]


async def test_a_servers_repeat_of_an_erased_session_is_refused_however_long_ago_it_was_played(
    service: Client, server: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    played_at = (mysql_now(mysql) - 2 * REMEMBERED).isoformat()
    assert (await send(service, server, 5, KEY, user_id=ADA, played_at=played_at)).status_code == 201
    await remove(service, accounts.new("Ada", ADA))
    answer = await send(service, server, 5, KEY, user_id=ADA, played_at=played_at)
    assert_problem(answer, 409, "session-erased")
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


async def test_what_a_server_said_is_in_the_players_export(
    service: Client, server: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    played_at = mysql_now(mysql).replace(microsecond=7) - timedelta(hours=1)
    await submit(service, server, 5, user_id=ADA, played_at=played_at.isoformat())
    await submit(service, server, 6, user_id=ADA)
    said, other = (await service.get(f"{API}/me/export", headers=accounts.new("Ada", ADA))).json()["sessions"]
    assert datetime.fromisoformat(said["played_at"]) == played_at
    assert datetime.fromisoformat(said["submitted_at"]) > played_at + timedelta(minutes=59)
    assert "played_at" not in other


async def test_an_account_that_ends_while_its_session_is_on_the_way_refuses_the_user_and_not_the_key(
    service: Client, server: dict[str, str], mysql: Any, other: Any
) -> None:
    other.execute("INSERT INTO players (user_id, username) VALUES (%s, 'Ada')", (ADA,))
    other.connection.commit()
    other.execute("SELECT username FROM players WHERE user_id = %s FOR UPDATE", (ADA,))
    sending = asyncio.create_task(send(service, server, 5, user_id=ADA))

    await eventually(lambda: rows_are_awaited(mysql))
    rows(mysql, "UPDATE account_changes SET username = '', username_canonical = '', ended_at = NOW(6) WHERE id = %s", ADA)
    other.connection.rollback()
    assert_problem(await sending, 422, "unknown-user")
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]


async def test_servers_are_never_limited(
    leaderboard_settings: LeaderboardSettings, service: Client, server: dict[str, str], accounts: Accounts
) -> None:
    limited = leaderboard_settings.model_copy(update={"submissions_per_second": 0.001, "submissions_burst": 3})
    async with serving(create_app(limited)) as client:
        answers = await asyncio.gather(*(send(client, server, 1, user_id=ADA) for _ in range(30)))
        assert {answer.status_code for answer in answers} == {201}
        # Nor do they use up what the player may send.
        own = [await send(client, accounts.new("Ada", ADA), 1) for _ in range(4)]
        assert [answer.status_code for answer in own] == [201, 201, 201, 429]


async def test_a_board_of_servers_takes_no_players_session_by_name_nor_by_rule(
    service: Client, server: dict[str, str], accounts: Accounts, mysql: Any
) -> None:
    ada = accounts.new("Ada", ADA, scopes=tuple(Scope))
    for boards in (["trusted"], ["main", "trusted"], ["nowhere", "trusted"]):
        answer = await send(service, ada, 5, boards=boards)
        assert_problem(answer, 403, "not-for-players")
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"#/boards/{len(boards) - 1}"]
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(0,)]
    own = await submit(service, ada, 5, tags={"track": "alps"})
    assert {board for board, _ in places(own)} == {"main", "alps"}
    by_server = await submit(service, server, 6, user_id=ADA, tags={"track": "alps"})
    assert {board for board, _ in places(by_server)} == {"main", "alps", "trusted"}
    named = await submit(service, server, 7, user_id=ADA, boards=["trusted", "alps"])
    assert places(named)["trusted", "all"] == 7


async def test_who_submits_may_change_for_later_sessions_and_repeats_count_where_they_did(
    service: Client, server: dict[str, str], accounts: Accounts, leaderboard_database: Database, mysql: Any
) -> None:
    ada = accounts.new("Ada", ADA)
    first = await send(service, ada, 5, KEY, boards=["alps"])
    assert first.status_code == 201
    await make(leaderboard_database, replace(ALPS, submitters="servers"))

    async def refused() -> bool:
        return (await send(service, ada, 5, boards=["alps"])).status_code == 403

    await eventually(refused)
    again = await send(service, ada, 5, KEY, boards=["alps"])
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert places(again.json()).keys() == places(first.json()).keys()
    assert (await send(service, server, 6, user_id=ADA, boards=["alps"])).status_code == 201
    await make(leaderboard_database, ALPS)

    async def taken() -> bool:
        return (await send(service, ada, 7, boards=["alps"])).status_code == 201

    await eventually(taken)


async def test_a_process_that_has_not_heard_yet_takes_no_players_session_either(
    leaderboard_settings: LeaderboardSettings,
    leaderboard_database: Database,
    service: Client,
    accounts: Accounts,
    mysql: Any,
) -> None:
    """The transaction sees that the board has changed since, and where the session counts is decided anew."""
    ada = accounts.new("Ada", ADA)
    assert (await send(service, ada, 5, boards=["alps"])).status_code == 201
    began = asyncio.get_running_loop().time()
    await make(leaderboard_database, replace(ALPS, submitters="servers"))
    answer = await send(service, ada, 5, boards=["alps"])
    assert_problem(answer, 403, "not-for-players")
    assert asyncio.get_running_loop().time() - began < INTERVAL_SECONDS
    assert rows(mysql, "SELECT COUNT(*) FROM game_sessions") == [(1,)]


async def test_the_document_has_both_ways_to_submit(service: Client) -> None:
    document = (await service.get(f"{API}/openapi.json")).json()
    operation = document["paths"][f"{API}/submit"]["post"]
    assert operation["security"] == [{"AccessToken": []}, {"AccessToken": ["scores:write"]}]
    properties = document["components"]["schemas"]["ScoreSubmission"]["properties"]
    assert {"type": "string", "format": "date-time"} in properties["played_at"]["anyOf"]


async def test_what_servers_submit_for_a_banned_player_is_held_or_refused_as_well(
    service: Client, server: dict[str, str], accounts: Accounts, leaderboard_settings: LeaderboardSettings
) -> None:
    staff = moderator(accounts)
    await submit(service, server, 5, user_id=ADA)
    await ban(service, staff, ADA)
    held = await submit(service, server, 7, KEY, user_id=ADA)
    assert (held["total_score"], held["rank"]) == (0, None)
    strict = leaderboard_settings.model_copy(update={"banned_submissions": "refuse"})
    async with serving(create_app(strict)) as refusing:
        assert_problem(await send(refusing, server, 9, user_id=ADA), 403, "player-banned")
        assert (await submit(refusing, server, 7, KEY, user_id=ADA))["session_id"] == held["session_id"]
    await unban(service, staff, ADA)
    assert (await submit(service, server, 1, user_id=ADA))["total_score"] == 13


async def test_staff_and_the_player_read_when_a_voided_session_was_played(
    service: Client, server: dict[str, str], accounts: Accounts
) -> None:
    staff, played_at = moderator(accounts), "2026-11-25T10:00:00Z"
    session_id = (await submit(service, server, 5, user_id=ADA, played_at=played_at))["session_id"]
    await void(service, staff, session_id)
    [exported] = (await service.get(f"{API}/me/export", headers=accounts.new("Ada", ADA))).json()["sessions"]
    [shown] = (await service.get(f"{API}/players/{ADA}/sessions", headers=staff)).json()["sessions"]
    for each in (exported, shown):
        assert (each["session_id"], each["voided"]) == (session_id, True)
        assert datetime.fromisoformat(each["played_at"]) == datetime.fromisoformat(played_at)
