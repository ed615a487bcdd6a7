"""docs/players.md's example, pasted into a shell, does what it says."""

import json
from pathlib import Path

from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.snippets import take

PLAY, LOOK = take("docs/players.md", "sh")


def test_the_example_works_when_pasted(stack: Stack, secrets: dict[str, str], tmp_path: Path) -> None:
    printed = paste(PLAY + LOOK, stack, secrets, tmp_path)
    marie, sophie, _, second, third, found, player, best, own = map(json.loads, printed)
    assert [(each["username"], each["score"]) for each in found["players"]] == [("Marie Curie", 1200), ("Marie-Sophie", 500)]
    assert [each["user_id"] for each in found["players"]] == [marie["user_id"], sophie["user_id"]]
    assert third["rank"] > second["rank"] == found["players"][0]["rank"]
    assert (player["user_id"], player["username"], player["sessions"]) == (marie["user_id"], "Marie Curie", 2)
    [ever] = [each for each in player["standings"] if (each["board"], each["window"]) == ("main", "all")]
    assert (ever["score"], ever["rank"]) == (1200, second["rank"])
    assert 0 < ever["percentile"] <= 100
    assert (best["score"], best["session"]["score"], best["session"]["session_id"]) == (1200, 900, second["session_id"])
    assert [each["score"] for each in own["sessions"]] == [900, 300]
    assert own["next_cursor"] is None
