"""docs/boards.md's example, pasted into a file and a shell, does what it says."""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.leaderboard.boards.document import parse_toml
from services.local import ROOT
from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.snippets import take

DOCUMENT = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
BOARDS, REWARDS = take("docs/boards.md", "toml")
MAKE, PLAY, NUMBERS = take("docs/boards.md", "sh")


@pytest.fixture(scope="module")
def minute() -> datetime:
    """When a minute of the board rush begins: soon enough to be waited for, and not before somebody can have played."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, minute: datetime) -> Path:
    """Where the shell is, with the example's file."""
    folder = tmp_path_factory.mktemp("boards")
    first = f"{minute - timedelta(days=1):%FT%TZ}"
    (folder / "boards.toml").write_text(BOARDS.replace("2026-01-01T00:00:00Z", first), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(stack: Stack, secrets: dict[str, str], folder: Path) -> list[str]:
    """What is printed by the first example, which makes the boards."""
    return paste(MAKE, stack, secrets, folder)


def test_the_example_works_when_pasted(made: list[str]) -> None:
    names = "alps", "coins", "rush"
    assert made[:3] == [f"{name}: would be created" for name in names]
    assert made[3:6] == [f"{name}: created" for name in names]
    listed, board, periods = map(json.loads, made[6:])
    assert listed["boards"] in ([], [board_fields(board)])  # a process may hear of it a second later
    assert [window["name"] for window in board["windows"]] == ["all", "week", "cup", "season"]
    assert board["windows"][1]["current"]["players"] == 0
    assert periods == {"periods": [], "next_cursor": None}


def wait_until_heard(stack: Stack) -> None:
    """Return when every process knows the boards: those that a session does not name count it only then."""
    deadline = time.monotonic() + 20
    for process in stack.leaderboards:
        while True:
            listed = httpx.get(f"{process.url}/api/leaderboard/boards").json()["boards"]
            if {"alps", "coins", "rush"} <= {board["name"] for board in listed}:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.usefixtures("made")
def test_the_boards_are_played_on_as_the_example_says(
    stack: Stack, secrets: dict[str, str], folder: Path, minute: datetime
) -> None:
    wait_until_heard(stack)
    left = (minute - datetime.now(UTC)).total_seconds() % 60
    if left < 10:
        time.sleep(left)
        left = 60.0
    before, after = PLAY.split("sleep 60\n")
    # Until the next minute of the board begins, which may be sooner than after a whole one.
    printed = paste(f"{before}sleep {left + 0.5}\n{after}", stack, secrets, folder)
    account, first, second, week, coins, rush, now, later, previous = map(json.loads, printed)
    grace = {"user_id": account["user_id"], "username": "Grace"}
    places = [(each["board"], each["window"], each["score"], each["rank"]) for each in second["standings"]]
    assert {("alps", "all", 60800, 1), ("alps", "week", 60800, 1), ("coins", "day", 17, 1), ("coins", "all", 17, 1)} <= set(
        places
    )
    assert {each["board"] for each in first["standings"]} == {"alps", "coins", "main"}
    assert week["top"] == [{"rank": 1, **grace, "score": 60800, "extra": {"car": "blue"}}]
    assert (coins["board"], coins["window"], coins["score"], coins["rank"]) == ("coins", "day", 17, 1)
    assert [(each["board"], each["score"]) for each in rush["standings"]] == [("rush", 70)]
    assert (rush["total_score"], rush["rank"]) == (None, None)
    assert now["top"] == [{"rank": 1, **grace, "score": 70}]
    assert (later["top"], later["period_id"]) == ([], None)
    assert (previous["top"], previous["period_id"]) == (now["top"], now["period_id"])

    numbers_are_told(grace, paste(NUMBERS, stack, secrets, folder))


def numbers_are_told(grace: dict[str, object], printed: list[str]) -> None:
    """Hold what the third example prints against what the document says of it."""
    score, own, ranks, distribution = map(json.loads, printed)
    assert (score["score"], score["rank"], score["total_players"], score["percentile"]) == (61000, 2, 1, 0)
    assert (own["username"], own["percentile"], own["to_next"]) == ("Grace", 100, None)
    assert ranks["ranks"] == [
        {**grace, "rank": 1, "score": 60800, "place": 1},
        {"user_id": 999999, "username": None, "rank": None, "score": None, "place": None},
    ]
    assert distribution["bins"] == [{"from": 60800, "to": 60800, "count": 1}]
    assert distribution["quantiles"] == dict.fromkeys(["10", "25", "50", "75", "90", "99"], 60800)


def board_fields(board: dict[str, object]) -> dict[str, object]:
    windows: list[dict[str, object]] = board["windows"]  # type: ignore[assignment]
    return board | {"windows": [{k: v for k, v in each.items() if k not in {"current", "next_starts_at"}} for each in windows]}


@pytest.mark.parametrize("written", re.findall(r"`(\{ name = .*?\})`", DOCUMENT))
def test_each_window_of_the_table_can_be_written_so(written: str) -> None:
    [board] = parse_toml(f'[[boards]]\nname = "a"\nwindows = [{written}]'.encode())
    assert len(board.windows) == 1


def test_the_rewards_that_the_document_shows_can_be_written_down() -> None:
    [board] = parse_toml(f'[[boards]]\nname = "a"\n{REWARDS}'.encode())
    assert [reward.name for reward in board.windows[0].rewards] == ["gold", "silver", "present"]


@pytest.mark.parametrize("written", re.findall(r"`rule = (\{.*?\})`", DOCUMENT))
def test_each_rule_can_be_written_so(written: str) -> None:
    [board] = parse_toml(f'[[boards]]\nname = "a"\nrule = {written}\nwindows = [{{name = "all"}}]'.encode())
    assert board.rule is not None
