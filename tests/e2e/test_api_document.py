"""docs/api.md's commands, pasted into a shell, do what it says."""

import json
from collections.abc import Mapping
from pathlib import Path

from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.snippets import take

ACCOUNTS, APPS, GUESTS = take("docs/api.md", "sh")


def test_the_examples_work_when_pasted(stack: Stack, secrets: Mapping[str, str], tmp_path: Path) -> None:
    # One goes on where the other ends; the names are this test's.
    pasted = (ACCOUNTS + APPS + GUESTS).replace("Ada", "Readme").replace("Grace", "Readme2")
    registered, submitted, top, mine, first, *others = map(json.loads, paste(pasted, stack, secrets, tmp_path))
    assert registered["username"] == "Readme"
    assert submitted["total_score"] == 1200
    assert {"rank", "user_id", "username", "total_score"} == set(top["top"][0])
    assert mine == {name: submitted[name] for name in ("user_id", "username", "total_score")} | {"rank": mine["rank"]}
    assert first.get("user_id") == 1 or first["status"] == 404
    renewed, repeated, guest, kept = others
    assert renewed["refresh_token"] == repeated["refresh_token"]
    assert renewed["access_token"] != repeated["access_token"]
    assert guest["guest"] is True
    assert kept["refresh_token"]
