"""What docs/http.md shows of game servers, pasted into a shell and sent, is answered as it says."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.common.tokens import Scope
from services.local.stack import Stack
from tests.e2e.pasting import paste
from tests.servers import pair
from tests.snippets import take
from tests.system import QUICK_PASSWORDS, Accounts, bearer, sign_up

KEY, SERVER = take("docs/http.md", "sh")
[BATCH] = take("docs/http.md", "http")
[ANSWER] = take("docs/http.md", "json")
NOBODY = 4_000_000_009


@pytest.fixture(scope="module")
def trying_out(tmp_path_factory: pytest.TempPathFactory, secrets: Mapping[str, str]) -> Iterator[Stack]:
    """A system whose staff need no second factor."""
    environment = QUICK_PASSWORDS | {"STAFF_SECOND_FACTOR": "false"}
    with pair().stack(tmp_path_factory.mktemp("trying-out"), secrets=secrets, environment=environment) as running:
        yield running


def test_the_game_servers_script_works_when_pasted(trying_out: Stack, secrets: Mapping[str, str], tmp_path: Path) -> None:
    assert len(SERVER.splitlines()) < 30
    printed = paste(KEY + SERVER, trying_out, secrets, tmp_path)
    registered = json.loads(printed[0])
    board, submitted, refused = map(json.loads, printed[-3:])
    assert (board["name"], board["submitters"]) == ("ranked", "servers")
    assert (submitted["user_id"], submitted["username"]) == (registered["user_id"], "Ada")
    assert [(each["board"], each["score"], each["rank"]) for each in submitted["standings"]] == [("ranked", 300, 1)]
    assert (refused["status"], refused["type"]) == (403, "urn:problem:not-for-players")


def shape(value: Any) -> Any:
    """What members there are, whatever is in them."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return shape(value[0]) if isinstance(value, list) and value else type(value)


async def test_a_call_with_many_sessions_is_answered_as_is_shown(gateway_url: str, accounts: Accounts) -> None:
    head, _, body = BATCH.partition("\n")
    method, path = head.split()
    shown = json.loads(ANSWER)
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        own = bearer(await sign_up(client, "Batched"))
        user_id = (await client.get("/auth/me", headers=own)).json()["user_id"]
        # Without the time of the example, which is over or to come.
        sessions = json.loads(body.replace(', "played_at": "2026-12-01T18:00:00Z"', ""))
        for session, whose in zip(sessions["submissions"], (user_id, NOBODY), strict=True):
            session["user_id"] = whose
        answer = await client.request(method, path, json=sessions, headers=accounts.new_key(Scope.SCORES))
    assert answer.status_code == 200, answer.text
    stored, refused = answer.json()["results"]
    assert [each["status"] for each in (stored, refused)] == [each["status"] for each in shown["results"]]
    assert shape(stored) == shape(shown["results"][0])
    assert shape(refused) == shape(shown["results"][1])
    told, problem = shown["results"][1]["problem"], refused["problem"]
    assert {name: problem[name] for name in ("type", "title", "status")} == {
        name: told[name] for name in ("type", "title", "status")
    }
    assert problem["errors"][0]["pointer"] == told["errors"][0]["pointer"]
