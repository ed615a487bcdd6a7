"""The shortcuts answer as the routes do: the same request in another spelling goes to the route, and is answered alike."""

import asyncio
from typing import Any, Never

import httpx
import pytest

from services.leaderboard.app import create_app
from services.leaderboard.http.hot import find
from services.leaderboard.reads import Reads
from services.leaderboard.settings import LeaderboardSettings
from tests.playing import API
from tests.system import Accounts, assert_problem, serving

# Headers that differ from one answer to the next, or tell that a body was sent at once.
OF_ITS_OWN = {"x-request-id"}


def alike(one: httpx.Response, other: httpx.Response) -> bool:
    headers = [{name: value for name, value in each.headers.items() if name not in OF_ITS_OWN} for each in (one, other)]
    return (one.status_code, one.content, headers[0]) == (other.status_code, other.content, headers[1])


def of_anybody(answer: httpx.Response) -> Any:
    """What a submission is answered with, but for what its player and its place in the log make of it."""
    body = answer.json() | {"user_id": 0, "session_id": 0, "rank": 0}
    return body | {"standings": [standing | {"rank": 0, "total_players": 0} for standing in body["standings"]]}


def takes_shortcut(path: str) -> bool:
    target, _, query = path.partition("?")
    scope: dict[str, Any] = {"method": "GET", "path": f"{API}{target}", "query_string": query.encode(), "headers": []}
    return find(scope) is not None


@pytest.mark.parametrize(
    ("usual", "unusual"),
    [
        ("/top", "/top?"),
        ("/top?limit=3", "/top?limit=03"),
        ("/top?offset=1", "/top?offset=01"),
        ("/top?limit=2&offset=1", "/top?limit=2&offset=01"),
        ("/top?offset=1&limit=2", "/top?offset=1&limit=02"),
        ("/boards/main/top", "/boards/main/top?limit=010"),
        ("/boards/main/top?window=all&limit=2&offset=1", "/boards/main/top?window=all&limit=02&offset=1"),
        ("/boards/main/top?period=0", "/boards/main/top?period=0&x=1"),
        ("/boards/main/rank/2", "/boards/main/rank/2?x=1"),
        ("/boards/main/rank/2?window=all&period=current", "/boards/main/rank/2?window=all&period=current&x=1"),
        ("/boards/main/rank/999", "/boards/main/rank/999?x=1"),
        ("/boards/main/rank/2?window=none", "/boards/main/rank/2?window=none&x=1"),
        ("/boards/none/rank/2", "/boards/none/rank/2?x=1"),
        ("/boards/main/rank/2?period=77", "/boards/main/rank/2?period=77&x=1"),
        ("/boards/main/around/2?radius=1", "/boards/main/around/2?radius=01"),
        ("/top?limit=100&offset=0", "/top?limit=0100&offset=0"),
        ("/rank/2", "/rank/2?x=1"),
        ("/rank/999", "/rank/999?x=1"),
        ("/rank/9223372036854775807", "/rank/9223372036854775807?x=1"),
        ("/around/2", "/around/2?x=1"),
        ("/around/2?radius=1", "/around/2?radius=01"),
        ("/around/2?radius=50", "/around/2?radius=050"),
        ("/around/999?radius=5", "/around/999?radius=05"),
    ],
)
async def test_a_read_is_answered_alike(leaderboard: httpx.AsyncClient, accounts: Accounts, usual: str, unusual: str) -> None:
    for user_id, score in ((1, 5), (2, 7), (3, 7), (4, 0)):
        await leaderboard.post(f"{API}/submit", json={"score": score}, headers=accounts.new(user_id=user_id))
    assert takes_shortcut(usual)
    assert takes_shortcut(unusual) == (unusual == "/top?")
    assert alike(await leaderboard.get(f"{API}{usual}"), await leaderboard.get(f"{API}{unusual}"))


@pytest.mark.parametrize(
    "path",
    [
        "/top?limit=0",
        "/top?limit=101",
        "/top?offset=2147483648",
        "/top?limit=1&limit=2",
        "/top?limit=1&",
        "/rank/0",
        "/rank/me",
        "/rank/01",
        f"/rank/{2**63}",
        "/rank/1/",
        "/around/me",
        "/around/1?radius=51",
        "/around/1?radius=0",
        "/submit",
        "/topp",
        "/rank/",
    ],
)
def test_what_is_not_well_formed_is_left_to_the_routes(path: str) -> None:
    assert not takes_shortcut(path)


@pytest.mark.parametrize("body", ['{"score": 4}', '{"score": -1}', '{"score": "4"}', "", "[", '{"score": 1000000001}'])
async def test_a_submission_is_answered_alike(leaderboard: httpx.AsyncClient, accounts: Accounts, body: str) -> None:
    answers = []
    for user_id, media_type in ((1, "application/json"), (2, "application/json; charset=utf-8")):
        headers = accounts.new("Ada", user_id) | {"content-type": media_type}
        answers.append(await leaderboard.post(f"{API}/submit", content=body, headers=headers))
    one, other = answers
    if one.status_code == 201:
        assert of_anybody(one) == of_anybody(other)
        assert {*one.headers} == {*other.headers}
    else:
        assert alike(one, other)


@pytest.mark.parametrize("key", ["one", "!~" * 32, "x" * 65, "", "a b", "\u00e9"])
async def test_a_submission_with_a_key_and_its_repeat_are_answered_alike(
    leaderboard: httpx.AsyncClient, accounts: Accounts, key: str
) -> None:
    answers = []
    for user_id, media_type in ((1, "application/json"), (2, "application/json; charset=utf-8")):
        headers = accounts.new("Ada", user_id) | {"content-type": media_type, "idempotency-key": key}
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        answers += [await leaderboard.post(f"{API}/submit", json={"score": score}, headers=sent) for score in (4, 4, 5)]
    for one, other in zip(answers[:3], answers[3:], strict=True):
        if one.status_code == 201:
            assert of_anybody(one) == of_anybody(other)
            assert {*one.headers} == {*other.headers}
        else:
            assert alike(one, other)
    statuses = [answer.status_code for answer in answers[:3]]
    assert statuses in ([201, 201, 422], [400, 400, 400])
    assert answers[1].headers.get("idempotent-replayed") == ("true" if statuses[0] == 201 else None)


async def test_a_token_that_is_not_accepted_is_refused_by_the_route(leaderboard: httpx.AsyncClient) -> None:
    headers = {"authorization": "Bearer x", "content-type": "application/json"}
    assert_problem(await leaderboard.post(f"{API}/submit", content="{", headers=headers), 401, "unauthenticated")


async def test_metrics_call_both_by_the_route(leaderboard: httpx.AsyncClient) -> None:
    await asyncio.gather(leaderboard.get(f"{API}/rank/7"), leaderboard.get(f"{API}/rank/7?x=1"))
    metrics = (await leaderboard.get("/metrics")).text
    assert f'http_requests_total{{method="GET",route="{API}/rank/{{user_id}}",status="404"}} 2.0' in metrics


async def test_a_fault_of_ours_on_the_way_is_a_problem_is_counted_and_reaches_the_servers_log(
    leaderboard_settings: LeaderboardSettings, mysql: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> Never:
        raise LookupError("a secret of the inside")

    monkeypatch.setattr(Reads, "rank", fails)
    app = create_app(leaderboard_settings)
    async with serving(app) as client:
        with pytest.raises(LookupError):  # as the server sees it, which logs it
            await client.get(f"{API}/rank/7")
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as outside:
            answer = await outside.get(f"{API}/rank/7", headers={"x-request-id": "mine"})
        assert_problem(answer, 500, "internal-error")
        assert answer.headers["x-request-id"] == "mine"
        assert "secret" not in answer.text
        metrics = (await client.get("/metrics")).text
        assert f'http_requests_total{{method="GET",route="{API}/rank/{{user_id}}",status="500"}} 2.0' in metrics
