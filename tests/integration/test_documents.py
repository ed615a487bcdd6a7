"""The API documents, the documentation pages, health and metrics."""

import json
import re
from itertools import pairwise
from typing import Any

import httpx
import pytest

from services.leaderboard.transfers.formats import MEDIA_TYPES
from tests.system import Accounts, assert_problem

LINES = {*MEDIA_TYPES.values(), "text/event-stream"}
"""What is a line after another, and no object."""


@pytest.fixture(params=["auth", "leaderboard"])
def service(request: pytest.FixtureRequest) -> tuple[httpx.AsyncClient, str]:
    """A service and its prefix."""
    prefix = {"auth": "/auth", "leaderboard": "/api/leaderboard"}[request.param]
    return request.getfixturevalue(request.param), prefix


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()]


async def test_a_document_lists_its_own_prefix_only_and_tells_every_error(service: tuple[httpx.AsyncClient, str]) -> None:
    client, prefix = service
    document = (await client.get(f"{prefix}/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for path, method, operation in operations(document):
        assert path.startswith(f"{prefix}/")
        assert operation["summary"]
        for status, response in operation["responses"].items():
            if int(status) >= 400 and not path.endswith("/health/ready"):
                [(media_type, content)] = response["content"].items()
                assert media_type == "application/problem+json"
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
        if method == "post":
            assert "503" in operation["responses"]


async def test_operations_and_bodies_have_names_that_generated_clients_take_over(
    service: tuple[httpx.AsyncClient, str],
) -> None:
    client, prefix = service
    document = (await client.get(f"{prefix}/openapi.json")).json()
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_]{2,24}", name) for name in names), names
    bodies = [operation["requestBody"] for _, _, operation in operations(document) if "requestBody" in operation]
    assert bodies
    for body in bodies:
        for content in body["content"].values():
            assert content["schema"].keys() == {"$ref"}
    # Each name leads somewhere.
    for reference in re.findall(r'"\$ref": "(.*?)"', json.dumps(document)):
        kind, name = re.fullmatch(r"#/components/(\w+)/(\w+)", reference).groups()  # type: ignore[union-attr]
        assert name in document["components"][kind]


async def test_every_answer_has_an_example_with_the_members_that_it_tells(service: tuple[httpx.AsyncClient, str]) -> None:
    client, prefix = service
    document = (await client.get(f"{prefix}/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for path, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            for media_type, content in answer.get("content", {}).items():
                if media_type in LINES:
                    assert content["schema"] == {"type": "string"}
                    continue
                schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
                examples = [each["value"] for each in content.get("examples", {}).values()] or schema.get("examples", [])
                assert examples, (path, status)
                for example in examples:
                    assert set(schema["required"]) <= example.keys() <= schema["properties"].keys(), (path, status)


async def test_authorize_works_with_the_password_form(service: tuple[httpx.AsyncClient, str]) -> None:
    client, prefix = service
    document = (await client.get(f"{prefix}/openapi.json")).json()
    [scheme] = document["components"]["securitySchemes"].values()
    assert scheme["type"] == "oauth2"
    assert scheme["flows"]["password"]["tokenUrl"] == "/auth/token"


async def test_the_documentation_page_loads_nothing_from_elsewhere(service: tuple[httpx.AsyncClient, str]) -> None:
    client, prefix = service
    page = await client.get(f"{prefix}/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    for name in ("docs.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f"{prefix}/docs/{name}" in page.text
        assert (await client.get(f"{prefix}/docs/{name}")).status_code == 200
    assert_problem(await client.get(f"{prefix}/docs/../app.py"), 404)
    assert_problem(await client.get(f"{prefix}/docs/settings.py"), 404)


async def test_health_tells_what_is_there(service: tuple[httpx.AsyncClient, str]) -> None:
    client, prefix = service
    assert (await client.get(f"{prefix}/health/live")).json() == {"status": "ok", "checks": {}}
    ready = await client.get(f"{prefix}/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ok"
    assert set(ready.json()["checks"].values()) == {"ok"}


async def test_metrics_count_by_route_not_by_path(leaderboard: httpx.AsyncClient) -> None:
    for user_id in range(1, 6):
        await leaderboard.get(f"/api/leaderboard/rank/{user_id}")
    metrics = (await leaderboard.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/api/leaderboard/rank/{user_id}",status="404"} 5.0' in metrics


async def test_every_answer_carries_a_request_id(leaderboard: httpx.AsyncClient) -> None:
    answer = await leaderboard.get("/api/leaderboard/top", headers={"X-Request-Id": "from-the-client"})
    assert answer.headers["x-request-id"] == "from-the-client"
    for given in ("", "with blanks", "a" * 65, "new\tline"):
        made = (await leaderboard.get("/api/leaderboard/top", headers={"X-Request-Id": given})).headers["x-request-id"]
        assert made != given
        assert re.fullmatch("[0-9a-f]{16}", made)


async def test_a_request_id_tells_nothing_of_other_requests(leaderboard: httpx.AsyncClient) -> None:
    ids = [int((await leaderboard.get("/api/leaderboard/health/live")).headers["x-request-id"], 16) for _ in range(50)]
    assert len(set(ids)) == 50
    assert sorted(ids) != ids
    assert min(abs(one - other) for one, other in pairwise(ids)) > 1000


async def test_answers_that_may_not_be_kept_say_so(leaderboard: httpx.AsyncClient, accounts: Accounts) -> None:
    for path, said in (("top", "no-cache"), ("rank/me", "no-store"), ("sessions/me", "no-store")):
        answer = await leaderboard.get(f"/api/leaderboard/{path}", headers=accounts.new())
        assert answer.headers["cache-control"] == said
