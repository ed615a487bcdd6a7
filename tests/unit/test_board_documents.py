"""What a file of boards may say, and where it is told to be wrong."""

from datetime import datetime

import pytest
from pydantic import ValidationError

from services.leaderboard.boards.board import MOST_WINDOWS, USUAL, Definition, Rule, WindowDefinition
from services.leaderboard.boards.document import (
    BoardDocument,
    InvalidDocument,
    WindowDocument,
    parse_rewards,
    parse_rule,
    parse_toml,
    rewards_json,
    rule_json,
)
from services.leaderboard.operate.boards import DEFAULT
from services.leaderboard.rules.calendar import MONTH, WEEK, Schedule
from services.leaderboard.rules.holds import Hold
from services.leaderboard.rules.ranking import MAX_SESSION_SCORE, MAX_TOTAL
from services.leaderboard.rules.rewards import MOST_REWARDS, Reward
from tests.snippets import take

REWARDS = Reward("gold", ranks=(1, 3)), Reward("silver", percent=10), Reward("present")
ALL = 'windows = [{name = "all"}]'
[HOLD] = take("docs/moderation.md", "toml")
EVERY_KIND = """
[[boards]]
name = "alps"
title = "Alps — time trial"
metric = "time_ms"
aggregate = "best"
direction = "ascending"
rule = {where = {track = "alps"}}
min_score = 1
max_score = 9007199254740991
show_extra = true
submitters = "servers"
hold = {score_over = 30000, gain_over = 5000, sessions_per_minute_over = 20}
state = "closed"
windows = [
  {name = "all"}, {name = "week"}, {name = "month", keep = 12}, {name = "day", zone = "Europe/Berlin", grace = 10},
  {name = "cup", zone = "Europe/Berlin", first = "2026-12-01T18:00:00", every = "3 weeks", grace = 60, keep = 52},
  {name = "minute", first = "2026-01-01T00:00:00Z", every = "60 seconds"},
  {name = "season", listed = true, rewards = [
    {name = "gold", ranks = [1, 3]}, {name = "silver", percent = 10}, {name = "present", everyone = true},
  ]},
]
"""


def parse(text: str) -> Definition:
    [definition] = parse_toml(text.encode())
    return definition


def test_every_kind_of_window_and_every_field_is_read() -> None:
    new_year, first_day = datetime.fromisoformat("2026-01-01T00:00:00"), datetime.fromisoformat("1970-01-01T00:00:00")
    assert parse(EVERY_KIND) == Definition(
        name="alps",
        title="Alps — time trial",
        metric="time_ms",
        aggregate="best",
        direction="ascending",
        rule=Rule(("track", "alps")),
        min_score=1,
        max_score=MAX_TOTAL,
        show_extra=True,
        submitters="servers",
        state="closed",
        windows=(
            WindowDefinition("all"),
            WindowDefinition("week", WEEK, grace_seconds=60),
            WindowDefinition("month", MONTH, grace_seconds=60, keep=12),
            WindowDefinition("day", Schedule(first_day, 1, "days", "Europe/Berlin"), grace_seconds=10),
            WindowDefinition(
                "cup",
                Schedule(datetime.fromisoformat("2026-12-01T18:00:00"), 3, "weeks", "Europe/Berlin"),
                grace_seconds=60,
                keep=52,
            ),
            WindowDefinition("minute", Schedule(new_year, 60, "seconds"), grace_seconds=60),
            WindowDefinition("season", listed=True, grace_seconds=60, rewards=REWARDS),
        ),
        hold=Hold(30_000, 5_000, 20),
    )


def test_what_is_left_out_is_what_most_boards_are() -> None:
    board = parse(f'[[boards]]\nname = "a"\n{ALL}')
    assert (board.metric, board.aggregate, board.direction, board.rule) == ("score", "total", "descending", None)
    assert (board.min_score, board.max_score, board.show_extra, board.state) == (0, MAX_SESSION_SCORE, False, "active")
    assert (board.submitters, board.hold) == ("players", None)


def test_a_time_without_quotation_marks_is_read_too() -> None:
    for written in ("2026-01-01T00:00:00Z", '"2026-01-01T00:00:00Z"', "2026-01-01T00:00:00"):
        text = f'[[boards]]\nname = "a"\nwindows = [{{name = "minute", first = {written}, every = "60 seconds"}}]'
        assert parse(text).windows[0].schedule == Schedule(datetime.fromisoformat("2026-01-01T00:00:00"), 60, "seconds")


def test_a_window_that_is_shown_can_be_written_down_again() -> None:
    for window in parse(EVERY_KIND).windows:
        shown = WindowDocument.of(window).model_dump_json()
        assert WindowDocument.model_validate_json(shown).definition() == window


@pytest.mark.parametrize("rule", [None, Rule(), Rule(("track", "alps"))])
def test_a_rule_is_read_as_it_was_written(rule: Rule | None) -> None:
    assert parse_rule(rule_json(rule)) == rule


@pytest.mark.parametrize("rewards", [(), REWARDS])
def test_rewards_are_read_as_they_were_written(rewards: tuple[Reward, ...]) -> None:
    assert parse_rewards(rewards_json(rewards)) == rewards


def test_the_file_of_a_new_system_has_the_main_board() -> None:
    [main] = parse_toml(DEFAULT.read_bytes())
    weeks, days = (WindowDefinition(name, USUAL[name], grace_seconds=60) for name in ("week", "day"))
    assert (main.name, main.rule, main.windows) == ("main", Rule(), (WindowDefinition("all"), weeks, days))


SECOND_REWARD = "boards[0].windows[1].rewards[1]"
MANY_REWARDS = ", ".join(f'{{name = "r{number}", everyone = true}}' for number in range(MOST_REWARDS + 1))


def board(**fields: str) -> str:
    return "[[boards]]\n" + "\n".join(f"{name} = {value}" for name, value in ({"name": '"a"'} | fields).items()) + "\n"


def window(text: str) -> str:
    return board(windows=f'[{{name = "all"}}, {text}]')


def plain(**fields: str) -> str:
    return board(windows='[{name = "all"}]', **fields)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", ["boards"]),
        ("boards = 1", ["boards"]),
        ("board = []\nboards = []", ["board"]),
        ("boards = [1]", ["boards[0]"]),
        (board(), ["boards[0].windows"]),
        (board(windows="[]"), ["boards[0].windows"]),
        (plain(name='"Alps"'), ["boards[0].name"]),
        (plain(name='""'), ["boards[0].name"]),
        (plain(name='"-a"'), ["boards[0].name"]),
        (plain(name='"a b"'), ["boards[0].name"]),
        (plain(name=f'"{"a" * 65}"'), ["boards[0].name"]),
        (plain(name='"ä"'), ["boards[0].name"]),
        (plain(name='"a\\n"'), ["boards[0].name"]),
        (plain(name="1"), ["boards[0].name"]),
        (plain(colour='"red"'), ["boards[0].colour"]),
        (plain(title=f'"{"a" * 101}"'), ["boards[0].title"]),
        (plain(title='"a\\u0000"'), ["boards[0].title"]),
        (plain(title='"a\\u202Eb"'), ["boards[0].title"]),
        (plain(metric=f'"{"a" * 33}"'), ["boards[0].metric"]),
        (plain(metric='""'), ["boards[0].metric"]),
        (plain(aggregate='"sum"'), ["boards[0].aggregate"]),
        (plain(direction='"up"'), ["boards[0].direction"]),
        (plain(state='"deleting"'), ["boards[0].state"]),
        (plain(show_extra="1"), ["boards[0].show_extra"]),
        (plain(submitters='"staff"'), ["boards[0].submitters"]),
        (plain(hold="{}"), ["boards[0].hold"]),
        (plain(hold="{score_over = true}"), ["boards[0].hold.score_over"]),
        (plain(hold=f"{{score_over = {2**53}}}"), ["boards[0].hold.score_over"]),
        (plain(hold="{gain_over = 5}"), ["boards[0].hold.gain_over"]),
        (plain(aggregate='"latest"', hold="{gain_over = 5}"), ["boards[0].hold.gain_over"]),
        (plain(aggregate='"best"', hold="{gain_over = -1}"), ["boards[0].hold.gain_over"]),
        (plain(hold="{sessions_per_minute_over = 0}"), ["boards[0].hold.sessions_per_minute_over"]),
        (plain(hold="{sessions_per_minute_over = 1001}"), ["boards[0].hold.sessions_per_minute_over"]),
        (plain(rule='"all"'), ["boards[0].rule"]),
        (plain(rule="{}"), ["boards[0].rule.where"]),
        (plain(rule='{where = {a = "1", b = "2"}}'), ["boards[0].rule.where"]),
        (plain(rule="{where = {a = 1}}"), ["boards[0].rule.where.a"]),
        (plain(rule=f'{{where = {{a = "{"v" * 65}"}}}}'), ["boards[0].rule.where.a"]),
        (plain(rule='{where = {a = ""}}'), ["boards[0].rule.where.a"]),
        (plain(rule=f'{{where = {{{"a" * 33} = "1"}}}}'), [f"boards[0].rule.where.{'a' * 33}.[key]"]),
        (plain(min_score="-1"), ["boards[0].min_score"]),
        (plain(min_score="1.5"), ["boards[0].min_score"]),
        (plain(min_score="true"), ["boards[0].min_score"]),
        (plain(max_score=str(MAX_SESSION_SCORE + 1)), ["boards[0].max_score"]),
        (plain(aggregate='"best"', max_score=str(2**53)), ["boards[0].max_score"]),
        (plain(aggregate='"best"', min_score=str(-(2**53))), ["boards[0].min_score"]),
        (plain(aggregate='"best"', max_score="9" * 30), ["boards[0].max_score"]),
        (plain(min_score="5", max_score="4"), ["boards[0].max_score"]),
        (plain(min_score="-2", max_score="-3"), ["boards[0].min_score", "boards[0].max_score"]),
        (window('{name = "all"}'), ["boards[0].windows[1].name"]),
        (window('{name = "week"}, {name = "week"}'), ["boards[0].windows[2].name"]),
        (board(windows='[{name = "all", zone = "UTC"}]'), ["boards[0].windows[0].zone"]),
        (
            board(windows='[{name = "all", listed = true, keep = 1}]'),
            [f"boards[0].windows[0].{it}" for it in ("keep", "listed")],
        ),
        (window('{name = "Week"}'), ["boards[0].windows[1].name"]),
        (window('{name = "cup"}'), [f"boards[0].windows[1].{it}" for it in ("first", "every")]),
        (window('{name = "cup", every = "1 day"}'), ["boards[0].windows[1].first"]),
        (window('{name = "day", every = "1 day"}'), ["boards[0].windows[1].first"]),
        (window('{name = "cup", first = "2026-01-01T00:00:00"}'), ["boards[0].windows[1].every"]),
        (window('{name = "day", zone = "Mars/Base"}'), ["boards[0].windows[1].zone"]),
        (window('{name = "day", zone = "../../etc/passwd"}'), ["boards[0].windows[1].zone"]),
        (window('{name = "day", grace = 9}'), ["boards[0].windows[1].grace"]),
        (window('{name = "day", grace = 10000000}'), ["boards[0].windows[1].grace"]),
        (window('{name = "day", keep = 0}'), ["boards[0].windows[1].keep"]),
        (window('{name = "day", listed = true, zone = "UTC"}'), ["boards[0].windows[1].zone"]),
        (window('{name = "day", listed = true, first = "2026-01-01T00:00:00"}'), ["boards[0].windows[1].first"]),
        *(
            (
                window(f'{{name = "day", rewards = [{{name = "a", everyone = true}}, {{{reward}}}]}}'),
                [f"{SECOND_REWARD}{place}"],
            )
            for reward, place in (
                ('name = "b"', ""),
                ('name = "b", everyone = false', ""),
                ('name = "b", percent = 5, ranks = [1, 3]', ""),
                ('name = "b", percent = 5, everyone = true', ""),
                ("percent = 5", ".name"),
                ('name = "The best", percent = 5', ".name"),
                ('name = "a", percent = 5', ".name"),
                ('name = "b", percent = 0', ".percent"),
                ('name = "b", percent = 101', ".percent"),
                ('name = "b", percent = 1.5', ".percent"),
                ('name = "b", ranks = [0, 3]', ".ranks[0]"),
                ('name = "b", ranks = [3, 1]', ".ranks"),
                ('name = "b", ranks = [1]', ".ranks"),
                ('name = "b", ranks = [1, 2, 3]', ".ranks"),
                ('name = "b", ranks = [1, "2"]', ".ranks[1]"),
                ('name = "b", everyone = 1', ".everyone"),
                ('name = "b", score = 5', ".score"),
            )
        ),
        (
            board(windows='[{name = "all", rewards = [{name = "a", everyone = true}]}]'),
            ["boards[0].windows[0].rewards"],
        ),
        (window('{name = "day", rewards = 1}'), ["boards[0].windows[1].rewards"]),
        (window(f'{{name = "day", rewards = [{MANY_REWARDS}]}}'), ["boards[0].windows[1].rewards"]),
        (window('{name = "day", colour = "red"}'), ["boards[0].windows[1].colour"]),
        *(
            (window(f'{{name = "x", first = "2026-01-01T00:00:00", every = "{every}"}}'), ["boards[0].windows[1].every"])
            for every in ("0 days", "59 seconds", "1 year", "-1 days", "1.5 days", "day", "99999999999 days", "99999 days", "")
        ),
        *(
            (window(f'{{name = "x", first = "{first}", every = "1 day"}}'), ["boards[0].windows[1].first"])
            for first in (
                "2026-02-30T00:00:00",
                "tomorrow",
                "2026-01-01",
                "2026-01-01T00:00:00+01:00",
                "0001-01-01T00:00:00",
                "",
            )
        ),
        (
            window('{name = "x", first = "2026-01-01T00:00:00Z", every = "1 day", zone = "Europe/Berlin"}'),
            ["boards[0].windows[1].first"],
        ),
        (
            window('{name = "x", first = "2026-01-01T00:00:00", every = "60 seconds", zone = "Europe/Berlin"}'),
            ["boards[0].windows[1].zone"],
        ),
        (plain() + plain(name='"b"') + plain(), ["boards[2].name"]),
        (plain() + board(name='"b"', windows='[{name = "x", listed = 1}]'), ["boards[1].windows[0].listed"]),
    ],
)
def test_a_bad_file_is_told_where_it_is_wrong(text: str, where: list[str]) -> None:
    with pytest.raises(InvalidDocument) as refused:
        parse_toml(text.encode())
    assert [str(fault).partition(":")[0] for fault in refused.value.faults] == where
    assert all(fault.detail for fault in refused.value.faults)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[[boards]", b'a = "\\ud800"', b"x = " + b"[" * 100_000, b"a = 1\na = 2"])
def test_what_is_not_toml_is_told_so(data: bytes) -> None:
    with pytest.raises(InvalidDocument, match="The file is not"):
        parse_toml(data)


def test_so_many_windows_and_no_more() -> None:
    names = [f'{{name = "w{number}", listed = true}}' for number in range(MOST_WINDOWS + 1)]
    assert len(parse(board(windows=f"[{', '.join(names[:-1])}]")).windows) == MOST_WINDOWS
    with pytest.raises(InvalidDocument, match=r"^boards\[0\]\.windows: "):
        parse(board(windows=f"[{', '.join(names)}]"))


def test_a_document_over_http_is_told_where_it_is_wrong() -> None:
    with pytest.raises(ValidationError) as refused:
        BoardDocument.model_validate_json('{"name": "a", "windows": [{"name": "all"}, {"name": "x", "every": "1 day"}]}')
    assert [error["loc"] for error in refused.value.errors()] == [("windows", 1, "first")]


def test_the_hold_rules_of_the_document_can_be_written_so() -> None:
    [board] = parse_toml(f'[[boards]]\nname = "a"\naggregate = "best"\n{HOLD}{ALL}'.encode())
    assert board.hold == Hold(score_over=100_000, gain_over=20_000, sessions_per_minute_over=30)
