"""The C# client under Mono, against the running system, over a network that loses what it can."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.local.stack import Stack
from tests.clients.csharp.player import Player, Refused, playing
from tests.clients.keys import make_key
from tests.clients.killing import FindCounted
from tests.clients.losing import Losing
from tests.e2e.visitor import new_name
from tests.playing import API
from tests.system import PASSWORD, Accounts, eventually

SUBMIT, REFRESH = f"{API}/submit", "/auth/refresh"


@pytest.fixture
async def player(losing: Losing) -> AsyncIterator[Player]:
    """A game behind the proxy, whose client is not open yet."""
    async with playing(losing.url) as player:
        yield player


@pytest.fixture
async def game(player: Player) -> Player:
    """A game with a new player signed in."""
    await player.open()
    await register(player)
    return player


async def register(player: Player, name: str = "") -> dict[str, Any]:
    user: dict[str, Any] = await player.ask("register", username=name or new_name(), password=PASSWORD)
    return user


async def change_session(player: Player, **changes: object) -> None:
    """Have the stored session say something else, as after a long time."""
    await player.ask("close")
    session = json.loads(await player.ask("stored", name="session"))
    await player.ask("store", name="session", text=json.dumps(session | changes))


# Who plays.


async def test_a_guest_goes_on_after_a_restart_without_a_network_and_keeps_the_account(player: Player, losing: Losing) -> None:
    name = new_name()
    assert await player.open() is None
    guest = await player.ask("guest")
    assert guest["guest"]
    await player.ask("close")
    losing.down = True
    assert await player.open() == guest
    losing.down, losing.path = False, "/auth/me/credentials"
    losing.lose_answers(1)
    kept = await player.ask("keep", username=name, password=PASSWORD)
    assert kept == {"user_id": guest["user_id"], "username": name, "guest": False} == await player.ask("user")
    assert len(losing.asked(losing.path)) == 2


async def test_an_account_is_made_though_the_answer_gets_lost_and_only_once(player: Player, losing: Losing) -> None:
    name = new_name()
    await player.open()
    losing.path = "/auth/register"
    losing.lose_answers(1)
    user = await register(player, name)
    assert len(losing.asked(losing.path)) == 2
    with pytest.raises(Refused) as taken:
        await register(player, name)
    assert (taken.value.error, taken.value.status, taken.value.type) == ("ProblemException", 409, "urn:problem:username-taken")
    losing.down = True
    await player.ask("logout")
    assert await player.ask("user") is None
    assert await player.ask("stored", name="session") is None
    with pytest.raises(Refused) as refused:
        await player.ask("rank")
    assert refused.value.error == "SessionEndedException"
    losing.down = False
    assert await player.ask("login", username=name, password=PASSWORD) == user


@pytest.mark.parametrize("changes", [{"expires_at": 30}, {"access_token": "of another key"}], ids=["ahead", "at 401"])
async def test_tokens_are_renewed_once_for_all_who_ask_though_the_answer_gets_lost(
    game: Player, losing: Losing, changes: dict[str, Any]
) -> None:
    if "expires_at" in changes:
        changes = {"expires_at": time.time() + changes["expires_at"]}
    await change_session(game, **changes)
    user = await game.open()
    losing.path = REFRESH
    losing.lose_answers(1)
    ranks = await asyncio.gather(*(game.ask("rank") for _ in range(5)))
    assert {rank["username"] for rank in ranks} == {user["username"]}
    sent = [json.loads(each.body)["refresh_token"] for each in losing.asked(REFRESH)]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert json.loads(await game.ask("stored", name="session"))["refresh_token"] != sent[0]


async def test_a_session_that_is_over_is_told_and_the_queue_waits_for_its_player(player: Player) -> None:
    name = new_name()
    await player.open()
    await register(player, name)
    await change_session(player, expires_at=0, refresh_token="used up")
    await player.open()
    key = await player.ask("submit", score=7)
    with pytest.raises(Refused) as ended:
        await player.ask("flush")
    assert ended.value.error == "SessionEndedException"
    assert (await player.ask("user"), await player.ask("queued")) == (None, 1)
    assert await player.ask("stored", name="session") is None
    assert player.heard("session ended") == [None]

    await register(player)  # somebody else plays on this machine
    await player.ask("result", key=await player.ask("submit", score=50))
    assert await player.ask("queued") == 1
    await player.ask("login", username=name, password=PASSWORD)
    assert (await player.ask("result", key=key))["total_score"] == 7


# Submitting.


async def test_what_is_queued_without_a_network_is_sent_after_a_restart_in_order_with_the_same_keys(
    player: Player, losing: Losing, counted: FindCounted, tmp_path: Path
) -> None:
    await player.open(folder=str(tmp_path))
    await register(player)
    losing.down = True
    keys = [await player.ask("submit", score=score, extra={"at": score}) for score in (1, 2, 3)]

    async def is_told() -> bool:
        return player.heard("queue")[-1:] == [{"length": 3, "reason": "Offline"}]

    await eventually(is_told)
    await player.ask("close")
    assert [entry["key"] for entry in json.loads((tmp_path / "queue").read_text())] == keys

    losing.down, already, player.told = False, len(losing.asked(SUBMIT)), []
    await player.open(folder=str(tmp_path))
    await player.ask("flush")
    await player.ask("close")
    assert [result["key"] for result in player.heard("submitted")] == keys
    assert [each.headers["idempotency-key"] for each in losing.asked(SUBMIT)[already:]] == keys
    told = [(each["length"], each["reason"]) for each in player.heard("queue")]
    assert told == [(3, "Waiting"), (2, "Waiting"), (1, "Waiting"), (0, "Empty")]
    found = await counted(keys)
    assert (found.sessions, found.total) == ({key: [score] for key, score in zip(keys, (1, 2, 3), strict=True)}, 6)
    assert not (tmp_path / "queue").exists()


async def test_every_score_is_counted_once_over_a_network_that_loses_a_fifth(
    game: Player, losing: Losing, counted: FindCounted
) -> None:
    losing.requests = losing.answers = 0.1
    keys = [await game.ask("submit", score=score) for score in range(1, 13)]
    results = await asyncio.gather(*(game.ask("result", key=key) for key in keys))
    assert [result["total_score"] for result in results] == [sum(range(1, score + 1)) for score in range(1, 13)]
    assert sorted((await counted(keys)).sessions.values()) == [[score] for score in range(1, 13)]


async def test_a_repeat_is_told_as_one_and_a_full_queue_drops_nothing(player: Player, losing: Losing) -> None:
    await player.open(queue_limit=2)
    await register(player)
    losing.path = SUBMIT
    losing.lose_answers(1)
    result = await player.ask("result", key=await player.ask("submit", score=5))
    assert (result["repeated"], result["total_score"], result["held"]) == (True, 5, False)
    losing.down = True
    keys = [await player.ask("submit", score=1), await player.ask("submit", score=2)]
    with pytest.raises(Refused) as full:
        await player.ask("submit", score=3)
    assert full.value.error == "QueueFullException"
    losing.down = False
    assert [(await player.ask("result", key=key))["total_score"] for key in keys] == [6, 8]


async def test_what_is_refused_is_told_and_what_comes_after_it_is_sent(game: Player) -> None:
    bad, good = await game.ask("submit", score=-5), await game.ask("submit", score=5)
    assert (await game.ask("result", key=good))["total_score"] == 5
    with pytest.raises(Refused) as problem:
        await game.ask("result", key=bad)
    assert problem.value.status == 422
    assert problem.value.errors[0]["pointer"] == "#/score"
    assert game.heard("refused") == [{"key": bad, "type": problem.value.type}]


@pytest.mark.parametrize(
    ("status", "headers"), [(503, {"Retry-After": "1"}), (429, {"Retry-After": "1"}), (404, {"content-type": "text/html"})]
)
async def test_what_passes_is_tried_again_and_not_before_it_is_time(
    game: Player, losing: Losing, status: int, headers: dict[str, str]
) -> None:
    losing.path = SUBMIT
    losing.refuse(1, status, headers)
    began = time.monotonic()
    assert (await game.ask("result", key=await game.ask("submit", score=5)))["total_score"] == 5
    assert len(losing.asked(SUBMIT)) == 2
    assert time.monotonic() - began >= float(headers.get("Retry-After", 0))


async def test_what_was_queued_before_anybody_signed_in_is_written_down_as_theirs_before_it_is_sent(
    player: Player, losing: Losing
) -> None:
    await player.open()
    key = await player.ask("submit", score=5)
    losing.path, losing.requests = SUBMIT, 1.0
    user = await register(player)

    async def is_sent() -> bool:
        return bool(losing.asked(SUBMIT))

    await eventually(is_sent)
    [entry] = json.loads(await player.ask("stored", name="queue"))
    assert (entry["key"], entry["user_id"]) == (key, user["user_id"])
    await register(player)
    losing.requests = 0.0
    assert (await player.ask("result", key=await player.ask("submit", score=6)))["total_score"] == 6
    assert await player.ask("queued") == 1


async def test_a_queue_that_cannot_be_read_is_kept_aside(player: Player) -> None:
    await player.open()
    await player.ask("store", name="queue", text='[{"key": "a')
    await player.open()
    assert await player.ask("queued") == 0
    assert await player.ask("stored", name="queue-unreadable") == '[{"key": "a'


async def test_a_file_that_a_crash_has_left_with_two_names_is_not_written_to(player: Player, tmp_path: Path) -> None:
    await player.open(folder=str(tmp_path))
    await player.ask("submit", score=1)
    queue, witness = tmp_path / "queue", tmp_path / "witness"
    for name in (witness, tmp_path / "queue.new"):
        name.hardlink_to(queue)
    before = queue.read_text()
    await player.ask("submit", score=2)
    assert witness.read_text() == before
    assert len(json.loads(queue.read_text())) == 2


# Game servers.


async def test_a_game_server_submits_for_players_one_by_one_and_many_at_once(
    player: Player, losing: Losing, stack: Stack, accounts: Accounts, gateway_url: str
) -> None:
    key = await make_key(stack, accounts, gateway_url)
    await player.open()
    players = [(await register(player))["user_id"] for _ in range(2)]
    with pytest.raises(Refused, match="userId"):
        await player.ask("submit", score=5, user_id=players[0])
    await player.ask("close")
    await player.open(**key)
    with pytest.raises(Refused, match="userId"):
        await player.ask("submit", score=5)
    one = await player.ask("result", key=await player.ask("submit", score=5, user_id=players[0], key="match-1"))
    assert (one["user_id"], one["total_score"], one["repeated"]) == (players[0], 5, False)
    losing.path = f"{API}/submissions"
    losing.lose_answers(1)
    many = [{"user_id": player, "score": 10, "key": "match-2"} for player in players]
    stored = await player.ask("many", sessions=[*many, {"user_id": 1, "score": -1, "key": "x"}])
    assert [each["status"] for each in stored] == [200, 200, 422]
    shown = [(await player.ask("standings", user_id=user_id))["standings"][0]["score"] for user_id in players]
    assert shown == [15, 10]


# Reading.


async def test_everything_is_read(game: Player, losing: Losing) -> None:
    user = await game.ask("user")
    own, name = user["user_id"], user["username"]
    assert (await game.ask("rank"))["rank"] is None
    with pytest.raises(Refused) as problem:
        await game.ask("rank", user_id=own)
    assert problem.value.type == "urn:problem:player-not-found"
    await game.ask("result", key=await game.ask("submit", score=1000))
    losing.refuse(1, 503)  # once in a while, which nobody hears of
    page = await game.ask("top", limit=1)
    assert (len(page["rows"]), page["board"]) == (1, "main")
    if page["next_cursor"]:
        assert len((await game.ask("top", limit=1, cursor=page["next_cursor"]))["rows"]) == 1
    rank = await game.ask("rank")
    assert (rank["user_id"], rank["score"]) == (own, 1000)
    assert (await game.ask("rank", user_id=own, board="main"))["rank"] == rank["rank"]
    assert own in [row["user_id"] for row in (await game.ask("around"))["rows"]]
    assert [row["rank"] for row in (await game.ask("ranks", user_id=own))["rows"]] == [rank["rank"]]
    assert (await game.ask("rank_of_score", score=1000))["rank"] == rank["rank"]
    assert sum(each["count"] for each in (await game.ask("distribution"))["bins"]) == rank["total_players"]
    assert [player["user_id"] for player in await game.ask("find", username=name)] == [own]
    assert (await game.ask("player", user_id=own))["username"] == name
    assert [each["score"] for each in (await game.ask("my_sessions"))["sessions"]] == [1000]
    assert (await game.ask("board"))["name"] == "main"
    assert "boards" in await game.ask("boards")


async def test_a_read_that_is_not_answered_fails_in_time_and_says_so(player: Player, losing: Losing) -> None:
    await player.open(timeout=1.0)
    losing.silent = True
    began = time.monotonic()
    with pytest.raises(Refused) as silence:
        await player.ask("top")
    with pytest.raises(Refused) as cancelled:
        await player.ask("top", within=100)
    assert time.monotonic() - began < 4
    assert (silence.value.error, cancelled.value.error) == ("UnreachableException", "OperationCanceledException")
    losing.silent = False
    losing.refuse(1, 503, {"Retry-After": "30"})
    with pytest.raises(Refused) as refused:
        await player.ask("top")
    assert (refused.value.error, refused.value.status, refused.value.retry_after) == ("UnreachableException", 503, 30)


# Watching.


async def test_a_watch_tells_each_change_over_streams_that_break(game: Player, losing: Losing) -> None:
    await game.ask("watch", with_me=True)

    async def has_begun() -> bool:
        return bool(game.heard("top") and game.heard("me"))

    await eventually(has_begun)
    losing.cut()
    await game.ask("result", key=await game.ask("submit", score=21))

    async def has_heard() -> bool:
        return bool(game.heard("me")[-1]["score"] == 21)

    await eventually(has_heard)
    streams = losing.asked(f"{API}/boards/main/live")
    assert len(streams) >= 2
    assert streams[-1].headers["last-event-id"]
    assert streams[-1].path.endswith("?limit=3")
    await game.ask("unwatch")
    assert game.heard("ended") == []


async def test_a_stream_that_says_nothing_is_opened_again(player: Player, losing: Losing) -> None:
    await player.open(silence=0.5, timeout=0.5)
    losing.silent = True
    await player.ask("watch")

    async def is_asked_again() -> bool:
        return len(losing.asked(f"{API}/boards/main/live")) > 1

    await eventually(is_asked_again)
    losing.silent = False

    async def has_heard() -> bool:
        return bool(player.heard("top"))

    await eventually(has_heard)


async def test_without_streams_it_looks_again_and_again_and_tells_what_is_new(player: Player, losing: Losing) -> None:
    await player.open(poll=0.1)
    await register(player)
    await player.ask("watch", with_me=True, polling=True)

    async def has_looked_often() -> bool:
        return len(losing.asked(f"{API}/boards/main/rank/me")) > 3

    await eventually(has_looked_often)
    assert [each["score"] for each in player.heard("me")] == [None]
    await player.ask("result", key=await player.ask("submit", score=5))

    async def has_heard() -> bool:
        return bool(player.heard("me")[-1]["score"] == 5)

    await eventually(has_heard)


async def test_a_watch_ends_where_there_is_nothing_to_watch(game: Player) -> None:
    await game.ask("watch", board="nowhere")

    async def has_ended() -> bool:
        return game.heard("ended") == [{"type": "urn:problem:board-not-found"}]

    await eventually(has_ended)


# In a game.


async def test_a_main_thread_that_blocks_is_answered_and_callbacks_come_to_it_in_order(player: Player, losing: Losing) -> None:
    heard = await player.ask("main thread", url=losing.url)
    assert heard == {"there": True, "heard": [1, 2, 3, 4, 5]}


async def test_json_is_read_and_written_as_it_is_meant(player: Player) -> None:
    texts = [
        '{"a":[1,-2,1.5,1e-7,true,false,null,{}],"b":{"c":[]}}',
        '"\\ud83c\\udfb2 \\u0000\\n\\"\\\\/é"',
        "9007199254740993",
    ]
    for text in texts:
        assert json.loads(await player.ask("json", text=text)) == json.loads(text)
    for text in ["", "[1,", '{"a"}', "[1]]", "tru", '"a', '"\\x"', "[" * 200, "01x"]:
        with pytest.raises(Refused) as refused:
            await player.ask("json", text=text)
        assert refused.value.error == "FormatException"
