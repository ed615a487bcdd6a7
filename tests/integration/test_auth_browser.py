"""What protects a browser's session: the cookie's attributes, the check of who asks, and that nothing is kept by caches."""

from typing import Any

import httpx
import pytest

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import count, login, refresh, register
from tests.system import PASSWORD, assert_problem, bearer, serving, sign_up

OURS = "http://service"


def attributes(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """The name of the one refresh cookie that an answer sets, and its attributes."""
    [header] = [each for each in answer.headers.get_list("set-cookie") if "refresh_token=" in each]
    name, *rest = (part.strip().partition("=") for part in header.split(";"))
    return name[0], {each.lower(): value for each, _, value in rest}


@pytest.fixture
async def over_tls(auth_settings: AuthSettings, mysql: object) -> Any:
    """A client of the auth service that came over TLS."""
    app = create_app(auth_settings)
    async with serving(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://service") as client:
            yield client


async def test_over_http_the_cookie_is_for_no_script_and_no_other_site(auth: httpx.AsyncClient) -> None:
    await register(auth)
    name, had = attributes(await login(auth))
    assert name == "refresh_token"
    assert {each: had[each] for each in ("path", "samesite")} == {"path": "/auth", "samesite": "strict"}
    assert int(had["max-age"]) == 2_592_000
    assert "httponly" in had
    assert "secure" not in had
    assert "domain" not in had


async def test_over_https_the_cookie_can_be_set_over_tls_only(over_tls: httpx.AsyncClient) -> None:
    await register(over_tls)
    signed_in = await login(over_tls)
    name, had = attributes(signed_in)
    assert name == "__Secure-refresh_token"
    assert had.keys() >= {"secure", "httponly"}
    assert "domain" not in had
    assert {each: had[each] for each in ("path", "samesite")} == {"path": "/auth", "samesite": "strict"}
    over_tls.cookies.clear()
    carried = {"Cookie": f"{name}={signed_in.cookies[name]}"}
    renewed = await over_tls.post("/auth/refresh", headers=carried)
    assert renewed.status_code == 200
    assert attributes(renewed)[0] == name
    over_tls.cookies.clear()
    ended = await over_tls.post("/auth/logout", headers={"Cookie": f"{name}={renewed.cookies[name]}"})
    assert attributes(ended)[0] == name
    assert attributes(ended)[1].keys() >= {"secure", "httponly"}
    assert attributes(ended)[1]["max-age"] == "0"


async def test_over_https_the_cookie_that_plain_http_could_have_set_is_not_looked_at(over_tls: httpx.AsyncClient) -> None:
    await register(over_tls)
    token = (await login(over_tls)).cookies["__Secure-refresh_token"]
    assert_problem(await refresh(over_tls, token), 401, "invalid-refresh-token")
    assert_problem(await refresh(over_tls, "x" * 43), 401, "invalid-refresh-token")


REFUSED = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Same-Origin"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://service"},
    {"Origin": "http://service:8080"},
    {"Origin": "http://service.evil.example"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]
ACCEPTED = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": OURS},
    {"Sec-Fetch-Site": "none"},
    {"Origin": OURS},
]


@pytest.mark.parametrize("sent", REFUSED, ids=str)
async def test_another_sites_request_with_the_cookie_changes_nothing(
    auth: httpx.AsyncClient, mysql: Any, sent: dict[str, str]
) -> None:
    await register(auth)
    token = (await login(auth)).cookies["refresh_token"]
    for path in ("/auth/refresh", "/auth/logout"):
        auth.cookies.clear()
        answer = await auth.post(path, headers={"Cookie": f"refresh_token={token}"} | sent)
        assert_problem(answer, 403, "cross-site-request")
        assert "set-cookie" not in answer.headers
    assert count(mysql, "SELECT COUNT(*) FROM refresh_tokens WHERE used_at IS NULL") == 1
    assert (await refresh(auth, token)).status_code == 200


@pytest.mark.parametrize("sent", ACCEPTED, ids=str)
async def test_our_own_page_and_what_is_no_browser_may_send_the_cookie(auth: httpx.AsyncClient, sent: dict[str, str]) -> None:
    await register(auth)
    token = (await login(auth, headers=sent)).cookies["refresh_token"]
    assert (await refresh(auth, token, headers=sent)).status_code == 200


async def test_two_headers_of_which_one_is_not_ours_are_refused(auth: httpx.AsyncClient) -> None:
    await register(auth)
    token = (await login(auth)).cookies["refresh_token"]
    for name, good, bad in (("Origin", OURS, "https://evil.example"), ("Sec-Fetch-Site", "same-origin", "cross-site")):
        auth.cookies.clear()
        headers = [("Cookie", f"refresh_token={token}"), (name, good), (name, bad)]
        assert_problem(await auth.post("/auth/refresh", headers=headers), 403, "cross-site-request")


async def test_the_origin_is_that_of_the_scheme_the_client_came_by(over_tls: httpx.AsyncClient) -> None:
    await register(over_tls)
    assert (await login(over_tls, headers={"Origin": "https://service"})).status_code == 200
    assert (await login(over_tls, headers={"Origin": "https://service", "Host": "service:443"})).status_code == 200
    assert_problem(await login(over_tls, headers={"Origin": "http://service"}), 403, "cross-site-request")


@pytest.mark.parametrize("sent", REFUSED, ids=str)
async def test_another_site_cannot_sign_its_visitors_in(auth: httpx.AsyncClient, mysql: Any, sent: dict[str, str]) -> None:
    await register(auth)
    form = {"username": "Ada", "password": PASSWORD}
    for answer in (await login(auth, headers=sent), await auth.post("/auth/login", data=form, headers=sent)):
        assert_problem(answer, 403, "cross-site-request")
        assert "set-cookie" not in answer.headers
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


@pytest.mark.parametrize("sent", REFUSED, ids=str)
async def test_another_site_cannot_take_the_cookie_of_its_visitors_away(auth: httpx.AsyncClient, sent: dict[str, str]) -> None:
    """SameSite keeps the cookie from its request, and not what the answer would do to it."""
    answer = await auth.post("/auth/logout", headers=sent)
    assert_problem(answer, 403, "cross-site-request")
    assert "set-cookie" not in answer.headers


async def test_the_cookie_is_checked_on_every_route_that_it_reaches(auth: httpx.AsyncClient) -> None:
    token = await sign_up(auth, "Ada")
    document = (await auth.get("/auth/openapi.json")).json()
    headers = {"Cookie": "refresh_token=x", "Sec-Fetch-Site": "cross-site", **bearer(token)}
    asked = 0
    for path, item in document["paths"].items():
        if path.startswith("/auth/health"):
            continue
        for method, operation in item.items():
            auth.cookies.clear()
            address = path.replace("{session_id}", "00000000-0000-4000-8000-000000000000")
            assert_problem(await auth.request(method, address, headers=headers), 403, "cross-site-request")
            assert "cross-site-request" in operation["responses"]["403"]["description"]
            asked += 1
    assert asked >= 12


async def test_no_answer_that_holds_a_token_or_personal_data_may_be_kept(auth: httpx.AsyncClient) -> None:
    registered = await register(auth)
    signed_in = await login(auth)
    token = bearer(signed_in.json()["access_token"])
    answers = [
        registered,
        signed_in,
        await auth.get("/auth/me", headers=token),
        await auth.get("/auth/sessions", headers=token),
        await auth.get("/auth/me/export", headers=token),
        await auth.put("/auth/me/username", json={"username": "Countess"}, headers=token),
        await refresh(auth, signed_in.cookies["refresh_token"]),
    ]
    for answer in answers:
        assert answer.status_code < 300
        assert answer.headers["cache-control"] == "no-store"
