"""The README's commands, pasted into a shell, do what it says."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from services.local import ROOT
from services.local.stack import Stack
from tests.e2e.pasting import blocks, paste
from tests.servers import pair
from tests.system import QUICK_PASSWORDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = [block for block in blocks(README, "sh") if "curl" in block]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def trying_out(tmp_path_factory: pytest.TempPathFactory, secrets: Mapping[str, str]) -> Iterator[Stack]:
    """A system whose staff need no second factor."""
    environment = QUICK_PASSWORDS | {"STAFF_SECOND_FACTOR": "false"}
    with pair().stack(tmp_path_factory.mktemp("trying-out"), secrets=secrets, environment=environment) as running:
        yield running


def test_the_examples_work_when_pasted(stack: Stack, secrets: Mapping[str, str], tmp_path: Path) -> None:
    accounts, apps, guests, boards = EXAMPLES[:4]
    # One goes on where the other ends; the names are this test's.
    pasted = (accounts + apps + guests + boards).replace("Ada", "Readme").replace("Grace", "Readme2")
    printed = paste(pasted, stack, secrets, tmp_path)
    registered, submitted, top, mine, first = map(json.loads, printed[:5])
    assert registered["username"] == "Readme"
    assert submitted["total_score"] == 1200
    assert {"rank", "user_id", "username", "total_score"} == set(top["top"][0])
    assert mine == {name: submitted[name] for name in ("user_id", "username", "total_score")} | {"rank": mine["rank"]}
    assert first.get("user_id") == 1 or first["status"] == 404
    renewed, repeated, guest, kept = map(json.loads, printed[5:9])
    assert renewed["refresh_token"] == repeated["refresh_token"]
    assert renewed["access_token"] != repeated["access_token"]
    assert guest["guest"] is True
    assert kept["refresh_token"]
    assert printed[9] == "sprint: created"
    sprinted, week, sprint = map(json.loads, printed[10:])
    assert sprinted["total_score"] == 1250
    assert [(each["board"], each["window"]) for each in sprinted["standings"] if each["board"] == "sprint"] == [
        ("sprint", "all"),
        ("sprint", "week"),
    ]
    row = {"rank": 1, "user_id": registered["user_id"], "username": "Readme", "score": 42195}
    assert week["top"] == [row]
    assert sprint == {
        "board": "sprint",
        "window": "all",
        "period_id": 0,
        **row,
        "total_players": 1,
        "percentile": 100,
        "to_next": None,
    }


@pytest.mark.skipif("\nadmin:" not in MAKEFILE, reason="there is no command that makes an admin")
def test_the_game_servers_script_works_when_pasted(trying_out: Stack, secrets: Mapping[str, str], tmp_path: Path) -> None:
    accounts, apps, *_, key, server = EXAMPLES
    assert len(server.splitlines()) < 30
    printed = paste(accounts + apps + key + server, trying_out, secrets, tmp_path)
    registered = json.loads(printed[0])
    board, submitted, refused = map(json.loads, printed[-3:])
    assert (board["name"], board["submitters"]) == ("ranked", "servers")
    assert (submitted["user_id"], submitted["username"]) == (registered["user_id"], "Ada")
    assert [(each["board"], each["score"], each["rank"]) for each in submitted["standings"]] == [("ranked", 300, 1)]
    assert (refused["status"], refused["type"]) == (403, "urn:problem:not-for-players")
