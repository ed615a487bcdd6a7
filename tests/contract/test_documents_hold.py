"""Both API documents, held against the running services: no 5xx, no status or body that they do not tell.

Past the gateway, whose limits would answer most of what is sent here.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import binary
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.local.stack import Stack
from tests.system import bearer, sign_up

EXAMPLES = 14


@pytest.fixture(scope="session")
def token(gateway_url: str) -> Iterator[str]:
    """The access token of a player who has played."""
    with httpx.Client(base_url=gateway_url) as client:
        credentials = {"username": "contract", "password": "correct horse battery"}
        client.post("/auth/register", json=credentials).raise_for_status()
        access_token: str = client.post("/auth/login", json=credentials).raise_for_status().json()["access_token"]
        client.post("/api/leaderboard/submit", json={"score": 1}, headers=bearer(access_token)).raise_for_status()
        yield access_token


thorough = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,  # the same requests each time: a failure is a change
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


# Where more is asked than JSON Schema can tell: RFC 8265's rules of names and counting after NFKC; the bounds that each board
# has; what a key is called, and when it expires; a cursor that was given before; a reason of characters that are shown; a
# password that only guests leave out; a password that is right, of which RFC 6749 calls a wrong one a 400.
BEYOND_SCHEMA = {
    "/auth/token",
    "/auth/register",
    "/auth/me/username",
    "/auth/me/password",
    "/auth/me/credentials",
    "/auth/me/deletion",
    "/auth/confirm",
    "/auth/recover",
    "/auth/keys",
    "/auth/external/{provider}/{external_id}",
    "/api/leaderboard/submit",
    "/api/leaderboard/sessions/me",
    "/api/leaderboard/sessions/{session_id}/report",
    "/api/leaderboard/boards",
    "/api/leaderboard/boards/{board}/rank/score/{score}",
    "/api/leaderboard/boards/{board}/periods",
    "/api/leaderboard/boards/{board}/periods/{period_id}/results",
}


# Files of sessions: whatever comes, each line is read by itself.
for media_type in ("application/x-ndjson", "text/csv"):
    schemathesis.openapi.media_type(media_type, binary(max_size=1000))

# What refuses a bad request: a body that is too long in one of its members may be too long as a whole.
REFUSALS = schemathesis.Config.from_dict(
    {
        "checks": {
            "negative_data_rejection": {"expected-statuses": ["400", "401", "403", "404", "409", "413", "415", "422", "429"]}
        }
    }
)


def _send(operation: Any, mode: GenerationMode, examples: settings, **options: Any) -> int:
    answered = 0

    @examples
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case[Any]) -> None:
        nonlocal answered
        case.call_and_validate(**options)
        answered += 1

    holds()
    return answered


def hold(document_url: str, examples: settings, **options: Any) -> int:
    """Send generated requests to every operation of a document and hold each answer against it. Gives how many."""
    answered = 0
    for result in schemathesis.openapi.from_url(document_url, config=REFUSALS).get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        excluded = [positive_data_acceptance] if operation.path in BEYOND_SCHEMA else []
        modes = [GenerationMode.POSITIVE]
        if operation.body or operation.query or operation.path_parameters:
            modes.append(GenerationMode.NEGATIVE)
        for mode in modes:
            answered += _send(operation, mode, examples, excluded_checks=excluded, **options)
    return answered


def service_url(stack: Stack, prefix: str) -> str:
    return stack.auth.url if prefix == "/auth" else stack.leaderboard.url


@pytest.mark.parametrize("prefix", ["/auth", "/api/leaderboard"])
def test_every_answer_is_one_that_the_document_tells(stack: Stack, prefix: str, token: str) -> None:
    assert hold(f"{service_url(stack, prefix)}{prefix}/openapi.json", thorough, headers=bearer(token)) > 5 * EXAMPLES


@pytest.mark.parametrize("prefix", ["/auth", "/api/leaderboard"])
def test_every_answer_without_a_token_is_one_that_the_document_tells(stack: Stack, prefix: str) -> None:
    assert hold(f"{service_url(stack, prefix)}{prefix}/openapi.json", settings(thorough, max_examples=5)) > 0


def test_every_check_is_made() -> None:
    """What the tests above rely on: the library checks servers' errors, statuses, types and bodies by itself."""
    made = {check.__name__ for check in CHECKS.get_all()}
    assert made >= {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    }


async def test_the_gateway_serves_both_documents(gateway_url: str) -> None:
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        token = await sign_up(client, "contract2")
        for prefix in ("/auth", "/api/leaderboard"):
            document = (await client.get(f"{prefix}/openapi.json", headers=bearer(token))).json()
            assert all(path.startswith(prefix) for path in document["paths"])
