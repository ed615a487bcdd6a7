"""docs/export-and-import.md's examples, pasted into files and shells, do what it says."""

import csv
import json
from pathlib import Path

import httpx

from services.common.tokens import Scope
from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.snippets import take
from tests.system import Accounts, bearer, sign_up

EXPORT, IMPORT, SEND, NAME = take("docs/export-and-import.md", "sh")
[LINES] = take("docs/export-and-import.md", "json")
[TABLE] = take("docs/export-and-import.md", "csv")
ALPS = """
[[boards]]
name = "alps"
title = "Alps, time trial"
metric = "time_ms"
aggregate = "best"
direction = "ascending"
rule = { where = { track = "alps" } }
min_score = 1000
max_score = 3_600_000
show_extra = true
windows = [{ name = "all" }, { name = "week" }]
"""


async def test_files_come_in_and_leave_as_the_document_says(
    stack: Stack, secrets: dict[str, str], accounts: Accounts, tmp_path: Path
) -> None:
    api = f"{stack.gateway_url}/api/leaderboard"
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        own = bearer(await sign_up(client, "Imported"))
        user_id = (await client.get("/auth/me", headers=own)).json()["user_id"]
        if (await client.get(f"{api}/boards/alps")).status_code == 404:
            (tmp_path / "boards.toml").write_text(ALPS)
            paste("make boards FILE=boards.toml", stack, secrets, tmp_path)
        sessions = LINES.replace("Ada", "Imported").replace('"user_id": 7', f'"user_id": {user_id}')
        (tmp_path / "sessions.ndjson").write_text(sessions)
        assert paste(IMPORT, stack, secrets, tmp_path)[-1] == "2 lines: 2 stored, 0 stored before, 0 skipped, 0 refused"

        admin = accounts.new("Root", 4_000_000_051, scopes=list(Scope))
        token = f"TOKEN={admin['Authorization'].removeprefix('Bearer ')}\n"
        again = json.loads(paste(token + SEND, stack, secrets, tmp_path)[-1])
        assert {"lines": 2, "repeated": 2, "done": True}.items() <= again.items()

        (tmp_path / "sessions.csv").write_text(TABLE.replace("Ada", "Imported"))
        as_csv = (
            SEND.replace("x-ndjson", "csv").replace("application/csv", "text/csv").replace("sessions.ndjson", "sessions.csv")
        )
        told = json.loads(paste(token + as_csv, stack, secrets, tmp_path)[-1])
        assert {"lines": 1, "stored": 1, "done": True}.items() <= told.items()

        paste(token + EXPORT, stack, secrets, tmp_path)
        rows = list(csv.DictReader((tmp_path / "week.csv").read_text().splitlines()))
        assert ("Imported", "61200") in [(row["username"], row["score"]) for row in rows]

        log = await client.get(f"{api}/sessions/export", params={"user_id": user_id, "format": "ndjson"}, headers=admin)
        (tmp_path / "sessions.ndjson").write_text(log.text)
        paste(NAME, stack, secrets, tmp_path)
        named = [json.loads(line) for line in (tmp_path / "named.ndjson").read_text().splitlines()]
        assert [each["player"] for each in named] == ["Imported"] * 3
        assert not any({"user_id", "username"} & each.keys() for each in named)
