"""The JavaScript client in Node, on the whole system: what it does, also while answers are lost."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.local.stack import Stack
from tests.clients.keys import make_key
from tests.clients.losing import Losing
from tests.clients.scripts import FOLDER, Player
from tests.e2e.visitor import new_name
from tests.system import PASSWORD, Accounts

SUBMIT = "/api/leaderboard/submit"
SAMPLE = FOLDER / "samples" / "javascript" / "game.js"


@pytest.fixture
def player(losing: Losing, tmp_path: Path) -> Player:
    """A game behind the proxy."""
    return Player(losing.url, tmp_path / "state")


async def own_sessions(player: Player) -> list[int]:
    """The scores that the server has of who is signed in, the oldest first."""
    found = await player.run("return (await leaderboard.mySessions({ limit: 100 })).sessions")
    return [session["score"] for session in reversed(found)]


async def test_a_guest_plays_reads_every_list_and_keeps_the_account(player: Player) -> None:
    played = await player.run("""
        const user = await leaderboard.playAsGuest();
        const { key, result } = await leaderboard.submit(1200, { tags: { track: "alps" } });
        const submitted = await result;
        const me = user.user_id;
        return {
            user, key, submitted,
            again: await leaderboard.playAsGuest(),
            boards: await leaderboard.boards(),
            board: await leaderboard.board(),
            top: await leaderboard.top({ limit: 1 }),
            rank: await leaderboard.rank(),
            theirs: await leaderboard.rank(me),
            around: await leaderboard.around("me", { radius: 1 }),
            ranks: await leaderboard.ranks([me]),
            would: await leaderboard.rankOfScore(1200),
            distribution: await leaderboard.distribution({ bins: 3 }),
            found: await leaderboard.findPlayers(user.username),
            player: await leaderboard.player(me),
            standings: await leaderboard.standings(me),
            sessions: await leaderboard.mySessions(),
        };
    """)
    user = played["user"]
    me = user["user_id"]
    assert user["guest"]
    assert played["again"] == user
    assert len(played["key"]) == 32
    assert played["submitted"]["total_score"] == 1200
    assert not played["submitted"]["repeated"]
    assert not played["submitted"]["held"]
    assert "main" in {board["name"] for board in played["boards"]["boards"]}
    assert played["board"]["name"] == "main"
    assert len(played["top"]["top"]) == 1
    assert played["rank"]["score"] == played["theirs"]["score"] == 1200
    assert me in {row["user_id"] for row in played["around"]["players"]}
    assert played["ranks"]["ranks"][0]["user_id"] == me
    assert played["would"]["rank"] == played["rank"]["rank"]
    assert len(played["distribution"]["bins"]) <= 3
    assert me in {each["user_id"] for each in played["found"]["players"]}
    assert played["player"]["user_id"] == me
    assert played["standings"]["standings"]
    assert [session["score"] for session in played["sessions"]["sessions"]] == [1200]
    assert player.kept("queue") is None

    name = new_name()
    kept = await player.run(f"return await leaderboard.keepAccount('{name}', '{PASSWORD}')")
    assert kept == {"user_id": me, "username": name, "guest": False}
    later = await player.run("""
        const user = await leaderboard.ready;
        await leaderboard.logout();
        return { user, left: leaderboard.user, ended: await failure(leaderboard.rank()) };
    """)
    assert (later["user"], later["left"], later["ended"]["name"]) == (kept, None, "SessionEnded")
    assert player.kept("session") is None
    back = await player.run(f"return await leaderboard.login('{name}', '{PASSWORD}')")
    assert back == kept
    assert await own_sessions(player) == [1200]


async def test_what_the_server_refuses_is_told_as_its_problem(player: Player) -> None:
    told = await player.run(f"""
        const taken = "{new_name()}";
        await leaderboard.register(taken, "{PASSWORD}");
        return {{
            taken: await failure(leaderboard.register(taken, "another good password")),
            wrong: await failure(leaderboard.login(taken, "another good password")),
            board: await failure(leaderboard.top({{ board: "none" }})),
            invalid: await failure(leaderboard.request("POST", "/auth/register", {{ body: {{ username: "x" }} }})),
        }};
    """)
    assert {each["name"] for each in told.values()} == {"Problem"}
    assert (told["taken"]["status"], told["taken"]["type"]) == (409, "urn:problem:username-taken")
    assert (told["wrong"]["status"], told["wrong"]["type"]) == (401, "urn:problem:invalid-credentials")
    assert (told["board"]["status"], told["board"]["type"]) == (404, "urn:problem:board-not-found")
    assert [error["pointer"] for error in told["invalid"]["errors"]] == ["#/password"]


async def test_a_score_whose_answer_was_lost_is_sent_again_with_its_key_and_counts_once(player: Player, losing: Losing) -> None:
    await player.run("await leaderboard.playAsGuest()")
    losing.path = SUBMIT
    losing.lose_answers(2)
    result = await player.run("return await (await leaderboard.submit(34)).result")
    assert (result["total_score"], result["repeated"]) == (34, True)
    keys = [seen.headers["idempotency-key"] for seen in losing.asked(SUBMIT)]
    assert keys == [keys[0]] * 3


async def test_what_was_queued_offline_is_sent_in_order_by_the_next_start(player: Player, losing: Losing) -> None:
    await player.run("await leaderboard.playAsGuest()")
    losing.down = True
    queued = await player.run(
        """
        const keys = [];
        for (const score of [1, 2, 3]) keys.push((await leaderboard.submit(score)).key);
        await until(() => told.some(([event, , reason]) => event === "queueChanged" && reason === "offline"));
        return { keys, full: await failure(leaderboard.submit(4)), length: (await leaderboard.queued()).length };
        """,
        "queueLimit: 3, timeout: 1000",
    )
    assert (queued["full"]["name"], queued["length"]) == ("QueueFull", 3)
    assert [entry["body"]["score"] for entry in player.kept("queue")] == [1, 2, 3]
    losing.down = False
    told = await player.run("await leaderboard.flush(); return told")
    submitted = [what[0]["key"] for event, *what in told if event == "submitted"]
    assert submitted == queued["keys"]
    assert told[-1] == ["queueChanged", 0, "empty"] or told[-1][0] == "submitted"
    assert await own_sessions(player) == [1, 2, 3]


async def test_a_score_from_before_the_first_sign_in_is_that_players_and_nobody_elses(player: Player, losing: Losing) -> None:
    await player.run("await leaderboard.submit(5); await until(() => told.some((each) => each[2] === 'waiting'))")
    assert player.kept("queue")[0]["user_id"] is None
    losing.path = SUBMIT
    losing.refuse(1, 503, {"Retry-After": "30"})
    first = await player.run("""
        const user = await leaderboard.playAsGuest();
        await until(() => told.some((each) => each[2] === 'offline'));
        return user;
    """)
    assert player.kept("queue")[0]["user_id"] == first["user_id"]
    shutil.copytree(player.state, first_state := player.state.with_name("first"))
    (player.state / "session.json").unlink()
    second = await player.run("""
        const user = await leaderboard.playAsGuest();
        await (await leaderboard.submit(6)).result;
        await leaderboard.flush();
        return user;
    """)
    assert second["user_id"] != first["user_id"]
    assert await own_sessions(player) == [6]
    assert [entry["user_id"] for entry in player.kept("queue")] == [first["user_id"]]
    shutil.copy(first_state / "session.json", player.state)
    await player.run("await leaderboard.flush()")
    assert await own_sessions(player) == [5]
    assert player.kept("queue") is None


async def test_a_score_that_the_server_refuses_is_told_and_the_next_one_is_sent(player: Player) -> None:
    refused = await player.run("""
        await leaderboard.playAsGuest();
        const far = await leaderboard.submit(1e15);
        await leaderboard.submit(7); // nobody asks for its result
        await leaderboard.flush();
        return { problem: await failure(far.result), told: told.map(([event]) => event) };
    """)
    assert refused["problem"]["status"] == 422
    assert [event for event in refused["told"] if event != "queueChanged"] == ["refused", "submitted"]
    assert await own_sessions(player) == [7]


@asynccontextmanager
async def stranger(status: bytes) -> AsyncIterator[str]:
    """Where somebody else answers: a gateway that has just started and knows no path, or a network that wants a sign-in."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>Not here.")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("status", [b"404 Not Found", b"401 Unauthorized", b"200 OK"])
async def test_what_somebody_else_answers_on_the_way_ends_neither_a_score_nor_the_session_nor_a_watch(
    player: Player, status: bytes
) -> None:
    await player.run("await leaderboard.playAsGuest()")
    player.keep(expires_at=0)
    async with stranger(status) as url:
        told = await Player(url, player.state).run("""
            const watch = leaderboard.watch({}, { state: (state) => told.push([state]), end: () => told.push(["end"]) });
            await leaderboard.submit(3);
            await until(() => told.some(([, , reason]) => reason === "offline") && told.some(([state]) => state === "offline"));
            watch.close();
            return told;
        """)
    assert {event for event, *_ in told} == {"queueChanged", "offline"}
    await player.run("await leaderboard.flush()")
    assert await own_sessions(player) == [3]


async def test_it_stays_away_for_as_long_as_it_is_told(player: Player, losing: Losing) -> None:
    await player.run("await leaderboard.playAsGuest()")
    losing.path = SUBMIT
    losing.refuse(1, 429, {"Retry-After": "2"})
    took = await player.run("""
        const began = Date.now();
        await (await leaderboard.submit(8)).result;
        return Date.now() - began;
    """)
    assert took >= 2000
    assert len(losing.asked(SUBMIT)) == 2


async def test_a_read_is_tried_three_times_and_no_longer_than_its_time(player: Player, losing: Losing) -> None:
    path = losing.path = "/api/leaderboard/boards"
    losing.refuse(2, 503)
    assert "boards" in await player.run("return await leaderboard.boards()")
    losing.refuse(3, 502)
    failed = await player.run("return await failure(leaderboard.boards())")
    assert (failed["name"], failed["status"]) == ("Unreachable", 502)
    assert len(losing.asked(path)) == 6
    losing.refuse(1, 503, {"Retry-After": "60"})
    assert (await player.run("return await failure(leaderboard.boards())"))["retryAfter"] == 60
    losing.refuse(1, 500)
    assert (await player.run("return await failure(leaderboard.boards())"))["status"] == 500
    assert len(losing.asked(path)) == 8
    losing.silent = True
    late = await player.run(
        "const began = Date.now(); return [await failure(leaderboard.boards()), Date.now() - began]", "timeout: 500"
    )
    assert (late[0]["name"], late[0]["status"]) == ("Unreachable", 0)
    assert 400 < late[1] < 5_000


async def test_a_session_is_renewed_ahead_of_time_once_however_many_ask(player: Player, losing: Losing) -> None:
    await player.run("await leaderboard.playAsGuest()")
    before = player.kept("session")
    player.keep(expires_at=0)
    losing.path = "/auth/refresh"
    losing.lose_answers(1)
    await player.run("await Promise.all([leaderboard.rank(), leaderboard.mySessions(), leaderboard.rank()])")
    after = player.kept("session")
    assert after["refresh_token"] != before["refresh_token"]
    sent = [seen.body for seen in losing.asked("/auth/refresh")]
    assert len(sent) == 2
    assert sent[0] == sent[1]  # the lost one, again

    player.keep(access_token="none")
    assert await own_sessions(player) == []  # 401, renewed, asked again
    assert len(losing.asked("/auth/refresh")) == 3


async def test_a_session_that_is_over_is_forgotten_and_the_queue_is_not(player: Player, losing: Losing) -> None:
    name = new_name()
    await player.run(f"await leaderboard.register('{name}', '{PASSWORD}')")
    session = player.kept("session")
    async with httpx.AsyncClient(base_url=losing.url) as client:
        ended = await client.post("/auth/logout", json={"refresh_token": session["refresh_token"]})
        assert ended.status_code == 204
    player.keep(expires_at=0)
    told = await player.run("""
        await leaderboard.submit(9);
        await until(() => told.some(([event, , reason]) => reason === "waiting"));
        return { told, user: leaderboard.user };
    """)
    assert ["sessionEnded"] in told["told"]
    assert told["user"] is None
    assert player.kept("session") is None
    assert len(player.kept("queue")) == 1
    await player.run(f"await leaderboard.login('{name}', '{PASSWORD}'); await leaderboard.flush()")
    assert await own_sessions(player) == [9]


async def test_making_and_keeping_an_account_are_done_though_the_answer_was_lost(player: Player, losing: Losing) -> None:
    first, second = new_name(), new_name()
    losing.path = "/auth/register"
    losing.lose_answers(1)
    made = await player.run(f"return await leaderboard.register('{first}', '{PASSWORD}')")
    assert made["username"] == first
    await player.run("await leaderboard.logout()")
    guest = await player.run("return await leaderboard.playAsGuest()")
    losing.path = "/auth/me/credentials"
    losing.lose_answers(1)
    kept = await player.run(f"return await leaderboard.keepAccount('{second}', '{PASSWORD}')")
    assert kept == {"user_id": guest["user_id"], "username": second, "guest": False}
    assert await own_sessions(player) == []


async def test_a_watch_is_told_of_each_change_and_goes_on_after_a_cut(player: Player, losing: Losing) -> None:
    def on_moment() -> None:
        if losing.asked("/cut"):
            losing.seen = [seen for seen in losing.seen if seen.path != "/cut"]
            losing.cut()

    losing.on_moment = on_moment
    heard: dict[str, Any] = await player.run("""
        await leaderboard.playAsGuest();
        const heard = { states: [], scores: [], tops: 0 };
        const watch = leaderboard.watch({ limit: 3 }, {
            top: () => { heard.tops += 1; },
            me: ({ score }) => heard.scores.push(score),
            state: (state) => heard.states.push(state),
        });
        await until(() => heard.scores.length > 0);
        await (await leaderboard.submit(10)).result;
        await until(() => heard.scores.includes(10));
        await failure(leaderboard.request("GET", "/cut"));
        await (await leaderboard.submit(20)).result;
        await until(() => heard.scores.includes(30));
        watch.close();
        return heard;
    """)
    assert heard["scores"] == [None, 10, 30]
    assert heard["tops"] >= 2
    assert set(heard["states"]) <= {"live", "polling"}
    streams = losing.asked("/api/leaderboard/boards/main/live")
    assert len(streams) >= 2
    assert "last-event-id" not in streams[0].headers
    assert streams[-1].headers["last-event-id"]


async def test_without_streams_a_watch_asks_and_tells_what_changed(player: Player, losing: Losing) -> None:
    heard = await player.run("""
        await leaderboard.playAsGuest();
        const heard = [];
        const watch = leaderboard.watch({ streaming: false }, { me: ({ score }) => heard.push(score) });
        await until(() => heard.length === 1);
        await (await leaderboard.submit(10)).result;
        watch.now();
        await until(() => heard.length === 2);
        watch.now();
        await seconds(0.3);
        watch.close();
        const ended = await new Promise((end) => leaderboard.watch({ board: "none" }, { end }));
        return [...heard, ended.status];
    """)
    assert heard == [None, 10, 404]
    assert not losing.asked("/api/leaderboard/boards/main/live")


async def test_a_game_server_sends_many_again_with_their_keys_until_each_has_an_answer(
    player: Player, losing: Losing, stack: Stack, accounts: Accounts
) -> None:
    key = await make_key(stack, accounts, stack.gateway_url)
    user = await player.run("return await leaderboard.playAsGuest()")
    losing.path = "/api/leaderboard/submissions"
    losing.lose_answers(1)
    server = Player(losing.url, player.state.with_name("server"))
    results = await server.run(
        f"""
        const many = [1, 2, 3].map((score) => ({{ user_id: {user["user_id"]}, score }}));
        return await leaderboard.submitMany([...many, {{ user_id: 4_000_000_000, score: 1 }}]);
        """,
        f"clientId: {json.dumps(key['client_id'])}, clientSecret: {json.dumps(key['client_secret'])}",
    )
    assert [result["status"] for result in results] == [200, 200, 200, 422]
    assert results[3]["problem"]["type"] == "urn:problem:unknown-user"
    assert len(losing.asked(losing.path)) == 2
    assert await own_sessions(player) == [1, 2, 3]


def test_the_sample_is_short() -> None:
    assert len(SAMPLE.read_text(encoding="utf-8").splitlines()) < 100
