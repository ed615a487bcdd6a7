"""docs/seasons.md's season, pasted into files and shells, is played through and told of as it says."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.tokens import Scope
from services.leaderboard.events import TEST, Kind
from services.local import ROOT
from services.local.ports import free_port
from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.snippets import take
from tests.system import Accounts, rows

DOCUMENT = (ROOT / "docs" / "seasons.md").read_text(encoding="utf-8")
SET_UP, TRY, BEGIN, PLAY, READ = take("docs/seasons.md", "sh")
[RECEIVER] = take("docs/seasons.md", "python")
SECONDS = 30
ADA = 4_000_000_041
"""A user whom no other test on the same system has made."""


class Season:
    """A shell, and the lines that a receiver has printed."""

    def __init__(self, stack: Stack, secrets: dict[str, str], folder: Path) -> None:
        scopes = [Scope.ADMIN, Scope.BOARDS, Scope.MODERATE]
        self.token = Accounts(secrets["JWT_KEYS"]).new("Ada", ADA, scopes=scopes)["Authorization"].removeprefix("Bearer ")
        self.stack, self.secrets, self.folder = stack, secrets, folder
        self.port = free_port()
        self.printed = folder / "printed"
        self.receiver: subprocess.Popen[bytes] | None = None

    def paste(self, script: str) -> list[Any]:
        """What each curl has answered."""
        script = f"TOKEN={self.token}\n{script.replace('127.0.0.1:9000', f'127.0.0.1:{self.port}')}"
        return [json.loads(line) for line in paste(script, self.stack, self.secrets, self.folder)]

    def receive(self, secret: str) -> None:
        """Run the document's receiver."""
        file = self.folder / "receiver.py"
        file.write_text(RECEIVER.replace("9000", str(self.port)))
        with self.printed.open("wb") as output:
            environment = {**os.environ, "WEBHOOK_SECRET": secret}
            self.receiver = subprocess.Popen(
                [sys.executable, str(file)], env=environment, stdout=output, stderr=subprocess.DEVNULL
            )
        self.wait(self.listens)

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def told(self, kind: str) -> Any:
        """What the receiver prints of an event, once it does."""
        self.wait(lambda: any(line.startswith(f"{kind} ") for line in self.lines()))
        [line] = [line for line in self.lines() if line.startswith(f"{kind} ")]
        return json.loads(line.removeprefix(f"{kind} "))

    def lines(self) -> list[str]:
        return self.printed.read_text().splitlines()

    def wait(self, condition: Any) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def season(stack: Stack, secrets: dict[str, str], tmp_path: Path) -> Iterator[Season]:
    season = Season(stack, secrets, tmp_path)
    yield season
    header = {"Authorization": f"Bearer {season.token}"}
    httpx.delete(f"{stack.gateway_url}/api/leaderboard/webhooks/studio", headers=header)
    if season.receiver is not None:
        season.receiver.kill()
        season.receiver.wait()


def test_a_season_is_played_through_as_the_document_tells(season: Season, stack: Stack) -> None:
    board, webhook = season.paste(SET_UP)
    assert [window["name"] for window in board["windows"]] == ["season"]
    season.receive(webhook["secret"])
    season.paste(TRY)
    assert season.told("webhook.test") == {"webhook": "studio"}

    [written] = season.paste(BEGIN)
    opened = season.told("period.opened")
    place = {"board": "cup", "window": "season", "period_id": written["period_id"]}
    assert opened.items() >= (place | {"title": "First winter"}).items()

    played, would = season.paste(PLAY)
    assert [(each["score"], each["rank"]) for each in played["standings"]] == [(1200, 1)]
    row = {"rank": 1, "user_id": ADA, "username": "Ada", "score": 1200, "reward": "gold"}
    assert would["results"] == [row]

    # The test does not wait for its end: it is brought about.
    with stack.mysql.connect(database=stack.database, autocommit=True) as mysql:
        rows(mysql, "UPDATE periods SET ends_at = NOW(6), closes_at = NOW(6) WHERE id = %s", written["period_id"])
    settled = season.told("period.settled")
    [results] = season.paste(READ)
    assert results["results"] == [row]
    assert settled == {
        **place,
        "settled_at": settled["settled_at"],
        "players": 1,
        "digest": would["digest"],
    }
    assert results["digest"] == would["digest"]
    assert len(season.lines()) == 3


def test_each_event_there_is_has_its_row() -> None:
    told = {line.split("`")[1] for line in DOCUMENT.splitlines() if line.startswith(("| `period", "| `session", "| `webhook"))}
    assert told == {*Kind, TEST}
