"""The client in GDScript against the running system, in Godot 4, over a network that loses what it can."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.clients.godot import SAMPLE, Driver
from tests.clients.killing import FindCounted
from tests.clients.losing import Losing
from tests.e2e.visitor import new_name
from tests.playing import API
from tests.system import PASSWORD, eventually

SUBMIT, REFRESH = f"{API}/submit", "/auth/refresh"


@pytest.fixture
async def player(godot: Driver) -> str:
    """The name of a new player, with whom `kept().game` has signed in."""
    name = new_name()
    assert await godot.run(f"""
        kept().game = begin()
        return (await kept().game.register("{name}", "{PASSWORD}")).ok
    """)
    return name


# Who plays.


async def test_a_guest_goes_on_after_a_restart_without_a_network_and_keeps_the_account(godot: Driver, losing: Losing) -> None:
    name = new_name()
    guest = await godot.run("""
        kept().storage = Leaderboard.MemoryStorage.new()
        var game := begin({"storage": kept().storage})
        return (await game.play_as_guest()).data
    """)
    assert guest["guest"]
    losing.down = True
    assert (
        await godot.run("""
        kept().again = begin({"storage": kept().storage})
        return kept().again.user
    """)
        == guest
    )
    losing.down = False
    kept, elsewhere, still = await godot.run(f"""
        var kept_account: Leaderboard.Answer = await kept().again.keep_account("{name}", "{PASSWORD}")
        var elsewhere: Leaderboard.Answer = await begin().login("{name}", "{PASSWORD}")
        return [kept_account.data, elsewhere.data, kept().again.user]
    """)
    assert kept == elsewhere == still == {"user_id": guest["user_id"], "username": name, "guest": False}


async def test_what_was_made_is_found_when_its_answer_was_lost(godot: Driver, losing: Losing) -> None:
    name, later = new_name(), new_name()
    losing.path = "/auth/register"
    losing.lose_answers(1)
    assert await godot.run(f"""
        kept().game = begin()
        var made: Leaderboard.Answer = await kept().game.register("{name}", "{PASSWORD}")
        var taken: Leaderboard.Answer = await kept().game.register("{name}", "{PASSWORD}")
        return [made.ok, taken.ok, taken.problem.type, taken.problem.status, made.data.username]
    """) == [True, False, "urn:problem:username-taken", 409, name]
    assert len(losing.asked(losing.path)) == 3
    losing.path = "/auth/me/credentials"
    losing.lose_answers(1)
    same, guest, kept = await godot.run(f"""
        var same: Leaderboard.Answer = await kept().game.play_as_guest()
        await kept().game.logout()
        var guest: Leaderboard.Answer = await kept().game.play_as_guest()
        var made: Leaderboard.Answer = await kept().game.keep_account("{later}", "{PASSWORD}")
        return [same.data, guest.data, made.data]
    """)
    assert same["username"] == name  # nobody takes the place of who is signed in
    assert kept == {"user_id": guest["user_id"], "username": later, "guest": False}
    assert len(losing.asked(losing.path)) == 2


async def test_whoever_signs_out_is_forgotten_though_nobody_can_be_told(godot: Driver, player: str, losing: Losing) -> None:
    losing.down = True
    assert await godot.run("""
        await kept().game.logout()
        return [kept().game.user, kept().game.storage.read("session"), (await kept().game.rank()).problem.type]
    """) == [{}, "", "session-ended"]


@pytest.mark.parametrize("change", ["expires_at = 30 + Time.get_unix_time_from_system()", 'access_token = "of another key"'])
async def test_tokens_are_renewed_once_for_all_who_ask_though_the_answer_gets_lost(
    godot: Driver, player: str, losing: Losing, change: str
) -> None:
    losing.path = REFRESH
    losing.lose_answers(1)
    names = await godot.run(f"""
        var session: Dictionary = Leaderboard._parse(kept().game.storage.read("session"))
        session.{change}
        kept().game.storage.write("session", JSON.stringify(session))
        kept().again = begin({{"storage": kept().game.storage}})
        var names := []
        for asker in 5:
            (func(): names.append((await kept().again.rank()).data.username)).call()
        await until(func(): return names.size() == 5)
        return names
    """)
    assert names == [player] * 5
    sent = [json.loads(each.body)["refresh_token"] for each in losing.asked(REFRESH)]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert sent[0] not in await godot.run('return kept().again.storage.read("session")')


async def test_a_session_that_is_over_is_told_and_the_queue_waits_for_its_player(godot: Driver, player: str) -> None:
    assert await godot.run("""
        var session: Dictionary = Leaderboard._parse(kept().game.storage.read("session"))
        session.merge({"expires_at": 0, "refresh_token": "used up"}, true)
        kept().game.storage.write("session", JSON.stringify(session))
        kept().again = begin({"storage": kept().game.storage})
        kept().submission = kept().again.submit(7)
        var flushed: Leaderboard.Answer = await kept().again.flush()
        return [flushed.problem.type, kept().again.user, kept().again.queued, ["session_ended"] in heard()]
    """) == ["session-ended", {}, 1, True]
    assert await godot.run(f"""
        await kept().again.register("{new_name()}", "{PASSWORD}")
        var other: Leaderboard.Answer = await kept().again.submit(50).result()
        var left: int = kept().again.queued
        await kept().again.login("{player}", "{PASSWORD}")
        return [other.ok, left, (await kept().submission.result()).data.total_score]
    """) == [True, 1, 7]


# Submitting.


async def test_what_is_queued_without_a_network_is_sent_after_a_restart_in_order_with_the_same_keys(
    godot: Driver, losing: Losing, counted: FindCounted, godot_folder: Path
) -> None:
    await godot.run(f"""
        var folder := OS.get_environment("LEADERBOARD_STATE")
        kept().game = begin({{"storage": Leaderboard.FileStorage.new(folder)}})
        await kept().game.register("{new_name()}", "{PASSWORD}")
    """)
    losing.down = True
    keys = await godot.run("""
        var keys := [1, 2, 3].map(func(score): return kept().game.submit(score, {"extra": {"at": score}}).key)
        await until(func(): return heard()[-1] == ["queue", 3, "offline"])
        kept().game.free()
        heard().clear()
        return keys
    """)
    assert [entry["key"] for entry in json.loads((godot_folder / "queue").read_text())] == keys
    losing.down, already = False, len(losing.asked(SUBMIT))
    heard = await godot.run("""
        var again := begin({"storage": Leaderboard.FileStorage.new(OS.get_environment("LEADERBOARD_STATE"))})
        await again.flush()
        return heard()
    """)
    assert [each[1] for each in heard if each[0] == "submitted"] == keys
    assert [each[1:] for each in heard if each[0] == "queue"] == [[3, "waiting"], [2, "waiting"], [1, "waiting"], [0, "empty"]]
    assert [each.headers["idempotency-key"] for each in losing.asked(SUBMIT)[already:]] == keys
    found = await counted(keys)
    assert (found.sessions, found.total) == ({key: [score] for key, score in zip(keys, (1, 2, 3), strict=True)}, 6)


async def test_every_score_is_counted_once_over_a_network_that_loses_a_fifth(
    godot: Driver, player: str, losing: Losing, counted: FindCounted
) -> None:
    losing.requests = losing.answers = 0.1
    keys = await godot.run("""
        var keys := range(1, 11).map(func(score): return kept().game.submit(score).key)
        await kept().game.flush()
        return keys
    """)
    found = await counted(keys)
    assert sorted(found.sessions.values()) == [[score] for score in range(1, 11)]


async def test_a_repeat_is_told_as_one(godot: Driver, player: str, losing: Losing) -> None:
    losing.path = SUBMIT
    losing.lose_answers(1)
    assert await godot.run("""
        var result: Dictionary = (await kept().game.submit(5).result()).data
        return [result.repeated, result.total_score, result.held]
    """) == [True, 5, False]


async def test_a_full_queue_takes_no_more_and_drops_nothing(godot: Driver, player: str, losing: Losing) -> None:
    losing.down = True
    assert await godot.run("""
        kept().game.queue_limit = 2
        kept().first = [kept().game.submit(1), kept().game.submit(2)]
        var third: Leaderboard.Submission = kept().game.submit(3)
        return [third.problem.type, (await third.result()).ok]
    """) == ["queue-full", False]
    losing.down = False
    assert await godot.run("""
        var totals := []
        for submission: Leaderboard.Submission in kept().first:
            totals.append((await submission.result()).data.total_score)
        return totals
    """) == [1, 3]


async def test_what_is_refused_is_told_and_what_comes_after_it_is_sent(godot: Driver, player: str) -> None:
    total, status, pointer, left, heard, key = await godot.run("""
        var bad: Leaderboard.Submission = kept().game.submit(-5)
        var good: Leaderboard.Submission = kept().game.submit(5)
        var total: int = (await good.result()).data.total_score
        var problem: Leaderboard.Problem = (await bad.result()).problem
        return [total, problem.status, problem.errors[0].pointer, kept().game.queued, heard(), bad.key]
    """)
    assert (total, status, pointer, left) == (5, 422, "#/score", 0)
    assert [each[1] for each in heard if each[0] == "refused"] == [key]


@pytest.mark.parametrize(
    ("status", "headers"), [(503, {"Retry-After": "1"}), (429, {"Retry-After": "1"}), (404, {"content-type": "text/html"})]
)
async def test_what_passes_is_tried_again_and_not_before_it_is_time(
    godot: Driver, player: str, losing: Losing, status: int, headers: dict[str, str]
) -> None:
    losing.path = SUBMIT
    losing.refuse(1, status, headers)
    began = time.monotonic()
    assert await godot.run("return (await kept().game.submit(5).result()).data.total_score") == 5
    assert len(losing.asked(SUBMIT)) == 2
    assert time.monotonic() - began >= float(headers.get("Retry-After", 0))


async def test_what_was_queued_before_anybody_signed_in_is_written_down_as_theirs_before_it_is_sent(
    godot: Driver, losing: Losing
) -> None:
    losing.path = SUBMIT
    losing.requests = 1.0
    key, user_id = await godot.run(f"""
        kept().game = begin()
        var submission: Leaderboard.Submission = kept().game.submit(5)
        var player: Leaderboard.Answer = await kept().game.register("{new_name()}", "{PASSWORD}")
        return [submission.key, player.data.user_id]
    """)

    async def is_sent() -> bool:
        return bool(losing.asked(SUBMIT))

    await eventually(is_sent)
    [entry] = json.loads(await godot.run('return kept().game.storage.read("queue")'))
    assert (entry["key"], entry["user_id"]) == (key, user_id)
    losing.requests = 0.0
    assert await godot.run(f"""
        await kept().game.register("{new_name()}", "{PASSWORD}")
        return [(await kept().game.submit(6).result()).data.total_score, kept().game.queued]
    """) in ([6, 1], [6, 0])


async def test_a_queue_that_cannot_be_read_is_kept_aside(godot: Driver) -> None:
    assert await godot.run("""
        var storage := Leaderboard.MemoryStorage.new()
        storage.write("queue", '[{"key": "a')
        return [begin({"storage": storage}).queued, storage.read("queue-unreadable")]
    """) == [0, '[{"key": "a']


async def test_a_score_that_cannot_be_stored_is_not_taken(godot: Driver) -> None:
    assert await godot.run("""
        var folder := OS.get_environment("LEADERBOARD_STATE") + "/none"
        FileAccess.open(folder, FileAccess.WRITE).close()  # a file where a folder is wanted
        var game := begin({"storage": Leaderboard.FileStorage.new(folder)})
        return [game.submit(5).problem.type, game.queued]
    """) == ["not-stored", 0]


async def test_a_write_that_was_cut_short_leaves_what_was_there(godot: Driver) -> None:
    assert await godot.run("""
        var folder := "user://cut"
        var storage := Leaderboard.FileStorage.new(folder)
        storage.write("queue", "[1]")
        FileAccess.open(folder + "/queue.new", FileAccess.WRITE).store_string('[1, {"key": ')
        var while_writing := storage.read("queue")
        DirAccess.remove_absolute(folder + "/queue")
        var before_the_first := storage.read("queue")
        FileAccess.open(folder + "/queue.new", FileAccess.WRITE).store_string("[1, 2]")
        var before_the_renaming := storage.read("queue")
        storage.write("queue", "")
        return [while_writing, before_the_first, before_the_renaming, storage.read("queue")]
    """) == ["[1]", "", "[1, 2]", ""]


async def test_a_web_export_keeps_it_in_the_browser(godot: Driver, losing: Losing) -> None:
    assert await godot.run("""
        var game := begin({"storage": null})
        await game.play_as_guest()
        var stored: Variant = JavaScriptBridge.eval("localStorage.getItem('leaderboard.session')")
        return [JSON.parse_string(stored).username == game.user.username, begin({"storage": null}).user == game.user]
    """) == [True, True]


# Reading.


async def test_everything_is_read(godot: Driver, player: str, losing: Losing) -> None:
    await godot.run("await kept().game.submit(1000).result()")
    losing.refuse(1, 503)  # once in a while, which nobody hears of
    told = await godot.run(f"""
        var game: Leaderboard = kept().game
        var own: int = game.user.user_id
        return {{
            "top": (await game.top({{"limit": 1}})).data.top.size(),
            "rank": (await game.rank()).data.score,
            "rank of": (await game.rank(own, {{"board": "main", "window": "all"}})).data.score,
            "around": (await game.around("me", 1)).data.players.any(func(row): return row.user_id == own),
            "ranks": (await game.ranks([own])).data.ranks[0].user_id == own,
            "rank of score": (await game.rank_of_score(1000)).data.rank == (await game.rank()).data.rank,
            "distribution": (await game.distribution(3)).data.bins.size() > 0,
            "find": (await game.find_players("{player}")).data.players[0].user_id == own,
            "player": (await game.player(own)).data.username,
            "standings": (await game.standings(own)).data.standings[0].score,
            "sessions": (await game.my_sessions()).data.sessions[0].score,
            "board": (await game.board()).data.name,
            "boards": (await game.boards({{"limit": 2}})).data.has("boards"),
            "nowhere": (await game.top({{"board": "nowhere"}})).problem.type,
        }}
    """)
    assert told == {
        "top": 1,
        "rank": 1000,
        "rank of": 1000,
        "around": True,
        "ranks": True,
        "rank of score": True,
        "distribution": True,
        "find": True,
        "player": player,
        "standings": 1000,
        "sessions": 1000,
        "board": "main",
        "boards": True,
        "nowhere": "urn:problem:board-not-found",
    }


async def test_a_read_that_is_not_answered_fails_in_time_and_says_so(godot: Driver, losing: Losing) -> None:
    losing.silent = True
    began = time.monotonic()
    assert (
        await godot.run("""
        kept().game = begin({"timeout": 1.0})
        return (await kept().game.top()).problem.type
    """)
        == "unreachable"
    )
    assert time.monotonic() - began < 3
    losing.silent = False
    losing.refuse(1, 503, {"Retry-After": "30"})
    assert await godot.run("""
        var problem: Leaderboard.Problem = (await kept().game.top()).problem
        return [problem.type, problem.status, problem.retry_after]
    """) == ["unreachable", 503, 30]


# Watching.


async def test_a_watch_tells_each_change_over_streams_that_break(godot: Driver, player: str, losing: Losing) -> None:
    await godot.run("""
        kept().watch = kept().game.watch({"limit": 3, "with_me": true})
        kept().watch.top_changed.connect(func(page): kept().page = page)
        kept().watch.me_changed.connect(func(me): kept().me = me)
        await until(func(): return kept().has("page") and kept().has("me"))
    """)
    losing.cut()
    assert (
        await godot.run("""
        await kept().game.submit(21).result()
        await until(func(): return kept().me.score == 21)
        kept().watch.close()
        return kept().me.username
    """)
        == player
    )
    streams = losing.asked(f"{API}/boards/main/live")
    assert len(streams) >= 2
    assert streams[-1].headers["last-event-id"]
    assert streams[-1].path.endswith("?limit=3")


async def test_a_stream_that_says_nothing_is_opened_again(godot: Driver, losing: Losing) -> None:
    losing.silent = True
    await godot.run("""
        var game := begin({"silence": 0.5, "timeout": 0.5})
        game.watch().top_changed.connect(func(page): kept().page = page)
    """)

    async def is_asked_again() -> bool:
        return len(losing.asked(f"{API}/boards/main/live")) > 1

    await eventually(is_asked_again)
    losing.silent = False
    assert (
        await godot.run("""
        await until(func(): return kept().has("page"))
        return kept().page.board
    """)
        == "main"
    )


async def test_without_streams_it_looks_again_and_again_and_tells_what_is_new(
    godot: Driver, player: str, losing: Losing
) -> None:
    await godot.run("""
        kept().scores = []
        kept().game.poll_seconds = 0.1
        kept().watch = kept().game.watch({"with_me": true, "streaming": false})
        kept().watch.me_changed.connect(func(me): kept().scores.append(me.score))
    """)

    async def has_looked_often() -> bool:
        return len(losing.asked(f"{API}/boards/main/rank/me")) > 3

    await eventually(has_looked_often)
    assert await godot.run("""
        await kept().game.submit(5).result()
        await until(func(): return kept().scores.size() == 2)
        return kept().scores
    """) == [None, 5]


async def test_a_watch_ends_where_there_is_nothing_to_watch(godot: Driver) -> None:
    assert (
        await godot.run("""
        return (await begin().watch({"board": "nowhere"}).ended).type
    """)
        == "urn:problem:board-not-found"
    )


async def test_events_are_put_together_from_pieces_of_any_length(godot: Driver) -> None:
    assert await godot.run("""
        var watch := Leaderboard.Watch.new()
        var pages := []
        watch.top_changed.connect(pages.append)
        var stream := 'retry: 1742\\n\\nevent: top\\nid: abc\\ndata: {"username":"Zoë 🎲","score":12}\\n\\n: a comment\\n\\n'
        for byte in stream.to_utf8_buffer():
            watch._hear(PackedByteArray([byte]))
        return [pages, watch._last_id, watch._retry]
    """) == [[{"username": "Zoë 🎲", "score": 12}], "abc", 1.742]


# The sample.


def test_the_sample_is_short() -> None:
    lines = (SAMPLE / "game.gd").read_text().splitlines()
    assert len(lines) < 100
    assert not [line for line in lines if re.search(r"\s$", line)]
