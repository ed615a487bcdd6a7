"""The Python client against the running system, over a network that loses what it can."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from leaderboard import (
    FileStorage,
    Leaderboard,
    LeaderboardError,
    MemoryStorage,
    Page,
    Problem,
    QueueFull,
    Rank,
    SessionEnded,
    Storage,
    Unreachable,
)

from services.local.stack import Stack
from tests.clients.keys import make_key
from tests.clients.killing import FindCounted
from tests.clients.losing import Losing
from tests.e2e.visitor import new_name
from tests.playing import API
from tests.system import PASSWORD, Accounts, bearer, eventually

SUBMIT, REFRESH = f"{API}/submit", "/auth/refresh"
Begin = Callable[..., Any]


@pytest.fixture
async def begin(losing: Losing) -> AsyncIterator[Begin]:
    """Starts a client behind the proxy, which is closed in the end."""
    async with AsyncExitStack() as stack:

        async def begin(storage: Storage | None = None, **options: Any) -> Leaderboard:
            return await stack.enter_async_context(Leaderboard(losing.url, storage=storage, **options))

        yield begin


@pytest.fixture
async def game(begin: Begin) -> Leaderboard:
    """A client with a new player in it."""
    game: Leaderboard = await begin()
    await game.register(new_name(), PASSWORD)
    return game


async def change_session(storage: Storage, **changes: object) -> None:
    """Have the stored session say something else, as after a long time."""
    session = json.loads(await storage.get("session") or "{}")
    await storage.set("session", json.dumps(session | changes))


# Who plays.


async def test_a_guest_goes_on_after_a_restart_without_a_network_and_keeps_the_account(begin: Begin, losing: Losing) -> None:
    storage, name = MemoryStorage(), new_name()
    guest = await (await begin(storage)).play_as_guest()
    assert guest.guest
    losing.down = True
    again = await begin(storage)
    assert again.user == guest
    losing.down = False
    kept = await again.keep_account(name, PASSWORD)
    assert (kept.user_id, kept.username, kept.guest) == (guest.user_id, name, False)
    elsewhere = await begin()
    assert await elsewhere.login(name, PASSWORD) == kept == again.user


async def test_what_was_made_is_found_when_its_answer_was_lost(begin: Begin, losing: Losing) -> None:
    game, name, later = await begin(), new_name(), new_name()
    losing.path = "/auth/register"
    losing.lose_answers(1)
    await game.register(name, PASSWORD)
    assert len(losing.asked(losing.path)) == 2
    with pytest.raises(Problem) as taken:
        await game.register(name, PASSWORD)
    assert (taken.value.status, taken.value.type) == (409, "urn:problem:username-taken")

    assert (await game.play_as_guest()).username == name  # nobody takes the place of who is signed in
    await game.logout()
    guest = await game.play_as_guest()
    losing.path = "/auth/me/credentials"
    losing.lose_answers(1)
    assert (await game.keep_account(later, PASSWORD)).user_id == guest.user_id
    assert len(losing.asked(losing.path)) == 2
    assert game.user is not None
    assert not game.user.guest


async def test_whoever_signs_out_is_forgotten_though_nobody_can_be_told(begin: Begin, losing: Losing) -> None:
    storage = MemoryStorage()
    game = await begin(storage)
    await game.register(new_name(), PASSWORD)
    losing.down = True
    await game.logout()
    assert game.user is None
    assert await storage.get("session") is None
    with pytest.raises(SessionEnded):
        await game.rank()


@pytest.mark.parametrize(
    "changes", [{"expires_at": time.time() + 30}, {"access_token": "of another key"}], ids=["ahead", "at 401"]
)
async def test_tokens_are_renewed_once_for_all_who_ask_though_the_answer_gets_lost(
    begin: Begin, losing: Losing, changes: dict[str, object]
) -> None:
    storage = MemoryStorage()
    first = await begin(storage)
    await first.register(new_name(), PASSWORD)
    await first.close()
    await change_session(storage, **changes)
    game = await begin(storage)
    losing.path = REFRESH
    losing.lose_answers(1)
    ranks = await asyncio.gather(*(game.rank() for _ in range(5)))
    assert {rank["username"] for rank in ranks} == {game.user.username}
    sent = [json.loads(each.body)["refresh_token"] for each in losing.asked(REFRESH)]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert json.loads(await storage.get("session") or "")["refresh_token"] != sent[0]


async def test_a_session_that_is_over_is_told_and_the_queue_waits_for_its_player(begin: Begin, losing: Losing) -> None:
    ended: list[bool] = []
    storage, name = MemoryStorage(), new_name()
    first = await begin(storage)
    await first.register(name, PASSWORD)
    await first.close()
    await change_session(storage, expires_at=0, refresh_token="used up")
    game = await begin(storage, on_session_ended=lambda: ended.append(True))
    submission = await game.submit(7)
    with pytest.raises(SessionEnded):
        await game.flush()
    assert (ended, game.user, game.queued, await storage.get("session")) == ([True], None, 1, None)

    await game.register(new_name(), PASSWORD)  # somebody else plays on this machine
    await (await game.submit(50)).result
    assert game.queued == 1
    await game.login(name, PASSWORD)
    assert (await submission.result).total_score == 7


# Submitting.


async def test_what_is_queued_without_a_network_is_sent_after_a_restart_in_order_with_the_same_keys(
    begin: Begin, losing: Losing, counted: FindCounted, tmp_path: Path
) -> None:
    told: list[tuple[int, str]] = []
    acknowledged: list[str] = []
    first = await begin(FileStorage(tmp_path), on_queue_changed=lambda *what: told.append(what))
    await first.register(new_name(), PASSWORD)
    losing.down = True
    keys = [(await first.submit(score, extra={"at": score})).key for score in (1, 2, 3)]

    async def is_told() -> bool:
        return told[-1:] == [(3, "offline")]

    await eventually(is_told)
    await first.close()
    assert [entry["key"] for entry in json.loads((tmp_path / "queue").read_text())] == keys
    assert (tmp_path / "session").stat().st_mode & 0o77 == 0

    losing.down, already = False, len(losing.asked(SUBMIT))
    second = await begin(
        FileStorage(tmp_path),
        on_submitted=lambda entry, _: acknowledged.append(entry.key),
        on_queue_changed=lambda *what: told.append(what),
    )
    await second.flush()
    assert acknowledged == keys
    assert [each.headers["idempotency-key"] for each in losing.asked(SUBMIT)[already:]] == keys
    assert told[-4:] == [(3, "waiting"), (2, "waiting"), (1, "waiting"), (0, "empty")]
    found = await counted(keys)
    assert (found.sessions, found.total) == ({key: [score] for key, score in zip(keys, (1, 2, 3), strict=True)}, 6)
    assert not (tmp_path / "queue").exists()


async def test_every_score_is_counted_once_over_a_network_that_loses_a_fifth(
    game: Leaderboard, losing: Losing, counted: FindCounted
) -> None:
    losing.requests = losing.answers = 0.1
    submissions = await asyncio.gather(*(game.submit(score) for score in range(1, 16)))
    results = await asyncio.gather(*(each.result for each in submissions))
    assert [result.total_score for result in results] == [sum(range(1, score + 1)) for score in range(1, 16)]
    found = await counted([each.key for each in submissions])
    assert sorted(found.sessions.values()) == [[score] for score in range(1, 16)]


async def test_a_repeat_is_told_as_one(game: Leaderboard, losing: Losing) -> None:
    losing.path = SUBMIT
    losing.lose_answers(1)
    result = await (await game.submit(5)).result
    assert (result.repeated, result.total_score, result.held) == (True, 5, False)


async def test_a_full_queue_takes_no_more_and_drops_nothing(begin: Begin, losing: Losing) -> None:
    game = await begin(queue_limit=2)
    await game.register(new_name(), PASSWORD)
    losing.down = True
    first = [await game.submit(1), await game.submit(2)]
    with pytest.raises(QueueFull):
        await game.submit(3)
    losing.down = False
    assert [(await each.result).total_score for each in first] == [1, 3]


async def test_what_is_refused_is_told_and_what_comes_after_it_is_sent(begin: Begin) -> None:
    refused: list[tuple[str, str]] = []
    game = await begin(on_refused=lambda entry, problem: refused.append((entry.key, problem.type)))
    await game.register(new_name(), PASSWORD)
    bad, good = await game.submit(-5), await game.submit(5)
    assert (await good.result).total_score == 5
    with pytest.raises(Problem) as problem:
        await bad.result
    assert (problem.value.status, refused) == (422, [(bad.key, problem.value.type)])
    assert problem.value.errors[0]["pointer"] == "#/score"
    assert game.queued == 0


@pytest.mark.parametrize(
    ("status", "headers"), [(503, {"Retry-After": "1"}), (429, {"Retry-After": "1"}), (404, {"content-type": "text/html"})]
)
async def test_what_passes_is_tried_again_and_not_before_it_is_time(
    game: Leaderboard, losing: Losing, status: int, headers: dict[str, str]
) -> None:
    losing.path = SUBMIT
    losing.refuse(1, status, headers)
    began = time.monotonic()
    assert (await (await game.submit(5)).result).total_score == 5
    assert len(losing.asked(SUBMIT)) == 2
    assert time.monotonic() - began >= float(headers.get("Retry-After", 0))


async def test_a_score_is_kept_when_it_is_the_tokens_that_are_refused(begin: Begin, losing: Losing) -> None:
    storage = MemoryStorage()
    first = await begin(storage)
    await first.register(new_name(), PASSWORD)
    await first.close()
    await change_session(storage, expires_at=0)
    losing.path = REFRESH
    losing.refuse(1, 403)
    game = await begin(storage)
    assert (await (await game.submit(5)).result).total_score == 5
    assert len(losing.asked(REFRESH)) == 2


async def test_what_was_queued_before_anybody_signed_in_is_written_down_as_theirs_before_it_is_sent(
    begin: Begin, losing: Losing
) -> None:
    storage = MemoryStorage()
    game = await begin(storage)
    submission = await game.submit(5)
    losing.path = SUBMIT
    losing.requests = 1.0
    player = await game.register(new_name(), PASSWORD)

    async def is_sent() -> bool:
        return bool(losing.asked(SUBMIT))

    await eventually(is_sent)
    [entry] = json.loads(await storage.get("queue") or "")
    assert (entry["key"], entry["user_id"]) == (submission.key, player.user_id)
    await game.register(new_name(), PASSWORD)
    losing.requests = 0.0
    assert (await (await game.submit(6)).result).total_score == 6
    assert game.queued == 1


async def test_a_score_is_stored_whole_though_whoever_submits_it_does_not_wait(begin: Begin, tmp_path: Path) -> None:
    game = await begin(FileStorage(tmp_path))
    submitting = asyncio.ensure_future(game.submit(5))
    await asyncio.sleep(0)
    submitting.cancel()
    await game.close()
    assert [entry["body"] for entry in json.loads((tmp_path / "queue").read_text())] == [{"score": 5}]


async def test_a_queue_that_cannot_be_read_is_kept_aside(begin: Begin) -> None:
    storage = MemoryStorage()
    await storage.set("queue", '[{"key": "a')
    game = await begin(storage)
    assert game.queued == 0
    assert await storage.get("queue-unreadable") == '[{"key": "a'


# Game servers.


@pytest.fixture
async def key(stack: Stack, accounts: Accounts, gateway_url: str) -> dict[str, str]:
    """A key of a game server."""
    return await make_key(stack, accounts, gateway_url)


async def test_a_game_server_submits_for_players_one_by_one_and_many_at_once(
    begin: Begin, losing: Losing, key: dict[str, str]
) -> None:
    players = [(await (await begin()).register(new_name(), PASSWORD)).user_id for _ in range(2)]
    server = await begin(**key)
    with pytest.raises(ValueError, match="user_id"):
        await server.submit(5)
    one = await (await server.submit(5, user_id=players[0], key="match-1")).result
    assert (one.user_id, one.total_score, one.repeated) == (players[0], 5, False)
    losing.path = f"{API}/submissions"
    losing.lose_answers(1)
    many = [{"user_id": player, "score": 10, "key": "match-2"} for player in players] + [
        {"user_id": 1, "score": -1, "key": "x"}
    ]
    stored = await server.submit_many(many)
    assert [each["status"] for each in stored] == [200, 200, 422]
    assert [(await server.player(player))["standings"][0]["score"] for player in players] == [15, 10]


async def test_a_player_says_no_one_elses_number(game: Leaderboard) -> None:
    with pytest.raises(ValueError, match="user_id"):
        await game.submit(5, user_id=1)


# Reading.


async def test_everything_is_read(game: Leaderboard, losing: Losing) -> None:
    assert game.user is not None
    own, name = game.user.user_id, game.user.username
    assert (await game.rank())["rank"] is None
    with pytest.raises(Problem) as problem:
        await game.rank(own)
    assert problem.value.type == "urn:problem:player-not-found"
    await (await game.submit(1000)).result
    losing.refuse(1, 503)  # once in a while, which nobody hears of
    page = await game.top(limit=1)
    assert (len(page["top"]), page["board"]) == (1, "main")
    if page["next_cursor"]:
        assert (await game.top(limit=1, cursor=page["next_cursor"]))["offset"] == 1
    rank = await game.rank()
    assert (rank["user_id"], rank["score"]) == (own, 1000)
    assert (await game.rank(own, board="main", window="all"))["rank"] == rank["rank"]
    assert own in [row["user_id"] for row in (await game.around(radius=1))["players"]]
    assert [row["user_id"] for row in (await game.ranks([own]))["ranks"]] == [own]
    assert (await game.rank_of_score(1000))["rank"] == rank["rank"]
    assert sum(each["count"] for each in (await game.distribution(bins=3))["bins"]) == rank["total_players"]
    assert [player["user_id"] for player in await game.find_players(name)] == [own]
    assert (await game.player(own))["username"] == name
    assert (await game.standings(own))["standings"][0]["score"] == 1000
    assert [each["score"] for each in (await game.my_sessions())["sessions"]] == [1000]
    assert (await game.board())["name"] == "main"
    assert "boards" in await game.boards()


async def test_a_read_that_is_not_answered_fails_in_time_and_says_so(begin: Begin, losing: Losing) -> None:
    game = await begin(timeout=1.0)
    losing.silent = True
    began = time.monotonic()
    with pytest.raises(Unreachable):
        await game.top()
    assert time.monotonic() - began < 3
    losing.silent = False
    losing.refuse(1, 503, {"Retry-After": "30"})
    with pytest.raises(Unreachable) as refused:
        await game.top()
    assert (refused.value.status, refused.value.retry_after) == (503, 30)


# Watching.


async def test_a_watch_tells_each_change_over_streams_that_break(game: Leaderboard, losing: Losing) -> None:
    pages: list[Page] = []
    own: list[Rank] = []
    watch = game.watch(limit=3, with_me=True, on_top=pages.append, on_me=own.append)

    async def has_begun() -> bool:
        return bool(pages and own)

    await eventually(has_begun)
    losing.cut()
    await (await game.submit(21)).result

    async def has_heard() -> bool:
        return own[-1]["score"] == 21

    await eventually(has_heard)
    streams = losing.asked(f"{API}/boards/main/live")
    assert len(streams) >= 2
    assert streams[-1].headers["last-event-id"]
    assert streams[-1].path.endswith("?limit=3")
    await watch.close()


async def test_a_stream_that_says_nothing_is_opened_again(begin: Begin, losing: Losing) -> None:
    pages: list[Page] = []
    game = await begin(silence=0.5)
    losing.silent = True
    game.watch(on_top=pages.append)

    async def is_asked_again() -> bool:
        return len(losing.asked(f"{API}/boards/main/live")) > 1

    await eventually(is_asked_again)
    losing.silent = False

    async def has_heard() -> bool:
        return bool(pages)

    await eventually(has_heard)


async def test_without_streams_it_looks_again_and_again_and_tells_what_is_new(begin: Begin, losing: Losing) -> None:
    own: list[Rank] = []
    game = await begin(poll=0.1)
    await game.register(new_name(), PASSWORD)
    game.watch(with_me=True, streaming=False, on_me=own.append)

    async def has_looked_often() -> bool:
        return len(losing.asked(f"{API}/boards/main/rank/me")) > 3

    await eventually(has_looked_often)
    assert [each["score"] for each in own] == [None]
    await (await game.submit(5)).result

    async def has_heard() -> bool:
        return own[-1]["score"] == 5

    await eventually(has_heard)


async def test_a_watch_of_a_period_tells_its_end_and_ends_with_it(
    begin: Begin, stack: Stack, accounts: Accounts, gateway_url: str
) -> None:
    told: list[dict[str, Any]] = []
    ended: list[LeaderboardError | None] = []
    key = await make_key(stack, accounts, gateway_url, "boards:write")
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        token = (await client.post("/auth/token", data={"grant_type": "client_credentials", **key})).json()["access_token"]
        board = {"aggregate": "best", "windows": [{"name": "season", "listed": True, "grace": 10}]}
        await client.put(f"{API}/boards/brief", json=board, headers=bearer(token))
        now = datetime.now(UTC)
        period = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(seconds=1)).isoformat()}
        written = await client.post(f"{API}/boards/brief/windows/season/periods", json=period, headers=bearer(token))
        assert written.status_code == 201, written.text
    game = await begin()
    await game.watch(board="brief", period=written.json()["period_id"], on_period=told.append, on_ended=ended.append).wait()
    [over] = told
    assert over["ended"]["period_id"] == written.json()["period_id"]
    assert ended == [None]


async def test_a_watch_ends_where_there_is_nothing_to_watch(game: Leaderboard) -> None:
    ended: list[LeaderboardError | None] = []
    await game.watch(board="nowhere", on_ended=ended.append).wait()
    [problem] = ended
    assert isinstance(problem, Problem)
    assert problem.type == "urn:problem:board-not-found"
