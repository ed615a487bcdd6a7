"""`/auth/me` is answered past the framework as its route answers it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.http.hot import find
from services.auth.http.schemas import Account
from services.auth.sessions.callers import render
from services.auth.sessions.families import AccountRecord
from services.common.tokens import Principal, TokenVerifier
from tests.system import AUDIENCE, ISSUER, Accounts, assert_problem, bearer, sign_up

# Headers that differ from one answer to the next.
OF_ITS_OWN = {"x-request-id"}


def content(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = {name: value for name, value in answer.headers.items() if name not in OF_ITS_OWN}
    return answer.status_code, answer.content, headers


async def test_the_shortcut_answers_as_the_route_does(auth: httpx.AsyncClient) -> None:
    headers = bearer(await sign_up(auth, "Ada"))
    auth.cookies.clear()
    short, routed = await auth.get("/auth/me", headers=headers), await auth.get("/auth/me?x=1", headers=headers)
    assert short.status_code == 200
    assert content(short) == content(routed)
    metrics = (await auth.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/auth/me",status="200"} 2.0' in metrics


async def test_whoever_is_gone_is_told_alike(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    token = await sign_up(auth, "Ada")
    auth.cookies.clear()
    for headers in (accounts.new(user_id=99), bearer(token)):
        with mysql.cursor() as cursor:
            cursor.execute("DELETE FROM refresh_families")
        short, routed = await auth.get("/auth/me", headers=headers), await auth.get("/auth/me?x=1", headers=headers)
        assert_problem(short, 401, "unauthenticated")
        assert content(short) == content(routed)


async def test_a_token_with_the_session_of_another_is_refused(auth: httpx.AsyncClient, accounts: Accounts, mysql: Any) -> None:
    await sign_up(auth, "Ada")
    auth.cookies.clear()
    stranger = accounts.new(user_id=99)
    with mysql.cursor() as cursor:
        verifier = TokenVerifier(accounts.keys, ISSUER, AUDIENCE)
        verified = verifier.verify(stranger["Authorization"].removeprefix("Bearer "))
        assert isinstance(verified, Principal)
        cursor.execute("UPDATE refresh_families SET id = %s", (verified.session_id.bytes,))
    assert_problem(await auth.get("/auth/me", headers=stranger), 401)


async def test_many_at_once_are_each_told_of_themselves(auth: httpx.AsyncClient) -> None:
    tokens = {name: await sign_up(auth, name) for name in ("Ada", "Bob", "Cleo")}
    auth.cookies.clear()
    asked = [name for name in tokens for _ in range(20)]
    answers = await asyncio.gather(*(auth.get("/auth/me", headers=bearer(tokens[name])) for name in asked))
    assert [answer.json()["username"] for answer in answers] == asked


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "POST"},
        {"path": "/auth/me/"},
        {"query_string": b"access_token=x"},
        {"headers": []},
        {"headers": [(b"authorization", b"Basic x")]},
        {"headers": [(b"authorization", b"Bearer x"), (b"authorization", b"Bearer x")]},
        {"headers": [(b"cookie", b"refresh_token=x"), (b"authorization", b"Bearer x")]},
    ],
)
def test_what_is_spelt_otherwise_is_left_to_the_route(changed: dict[str, Any]) -> None:
    scope = {"method": "GET", "path": "/auth/me", "query_string": b"", "headers": []} | changed
    assert find(scope) is None


@given(
    st.integers(1, 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=32),
    st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - Hypothesis wants it so
    st.booleans(),
)
def test_the_answer_is_its_schema_byte_by_byte(user_id: int, username: str, created_at: datetime, guest: bool) -> None:
    rendered = render(AccountRecord(user_id, username, created_at, guest))
    account = Account(user_id=user_id, username=username, created_at=created_at, guest=guest)
    assert rendered == account.model_dump_json().encode()
    assert json.loads(rendered).keys() == {"user_id", "username", "created_at", "guest"}
