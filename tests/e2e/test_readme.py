"""The README's commands, pasted into a shell, do what it says."""

import json
from collections.abc import Mapping
from pathlib import Path

from services.local import ROOT
from services.local.stack import Stack
from tests.e2e.pasting import blocks, paste

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_examples_work_when_pasted(stack: Stack, secrets: Mapping[str, str], tmp_path: Path) -> None:
    [accounts, apps, guests, boards] = [block for block in blocks(README, "sh") if "curl" in block]
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
    assert sprint == {"board": "sprint", "window": "all", "period_id": 0, **row, "total_players": 1}
