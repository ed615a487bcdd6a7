"""What protects a browser's session: the cookie's attributes, the check of who asks, and that nothing is kept by caches."""

from typing import Any

import httpx
import pytest

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import COOKIE, count, login, refresh, register
from tests.system import PASSWORD, assert_problem, bearer, serving, sign_up

OURS = "http://service"


def attributes(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """The name of the one refresh cookie that an answer sets, and its attributes."""
    [header] = [each for each in answer.headers.get_list("set-cookie") if "refresh_token" in each]
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
    assert name == COOKIE
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
    token = (await login(auth)).cookies[COOKIE]
    for path in ("/auth/refresh", "/auth/logout"):
        auth.cookies.clear()
        answer = await auth.post(path, headers={"Cookie": f"{COOKIE}={token}"} | sent)
        assert_problem(answer, 403, "cross-site-request")
        assert "set-cookie" not in answer.headers
    assert count(mysql, "SELECT COUNT(*) FROM refresh_tokens WHERE used_at IS NULL") == 1
    assert (await refresh(auth, token)).status_code == 200


@pytest.mark.parametrize("sent", ACCEPTED, ids=str)
async def test_our_own_page_and_what_is_no_browser_may_send_the_cookie(auth: httpx.AsyncClient, sent: dict[str, str]) -> None:
    await register(auth)
    token = (await login(auth, headers=sent)).cookies[COOKIE]
    assert (await refresh(auth, token, headers=sent)).status_code == 200


async def test_two_headers_of_which_one_is_not_ours_are_refused(auth: httpx.AsyncClient) -> None:
    await register(auth)
    token = (await login(auth)).cookies[COOKIE]
    for name, good, bad in (("Origin", OURS, "https://evil.example"), ("Sec-Fetch-Site", "same-origin", "cross-site")):
        auth.cookies.clear()
        headers = [("Cookie", f"{COOKIE}={token}"), (name, good), (name, bad)]
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
        await refresh(auth, signed_in.cookies[COOKIE]),
    ]
    for answer in answers:
        assert answer.status_code < 300
        assert answer.headers["cache-control"] == "no-store"


def cookies_set(answer: httpx.Response) -> dict[str, tuple[str, set[str]]]:
    """What an answer sets: values and attributes, by name."""
    found = {}
    for header in answer.headers.get_list("set-cookie"):
        name, _, rest = header.partition("=")
        value, *had = rest.split("; ")
        found[name] = value, {each.lower() for each in had}
    return found


async def from_port(client: httpx.AsyncClient, host: str, path: str, cookies: dict[str, str]) -> httpx.Response:
    """Ask with these cookies, as a page of this host does."""
    client.cookies.clear()
    headers = {"Host": host, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    body = {"username": "Ada", "password": PASSWORD} if path == "/auth/login" else None
    return await client.post(path, headers=headers, json=body)


@pytest.mark.parametrize(
    ("host", "port"),
    [("localhost:8080", "8080"), ("[::1]:8081", "8081"), ("[::1]", "80"), ("localhost", "80"), ("localhost:٣", "80")],
)
async def test_without_tls_the_port_is_in_the_cookies_names(auth: httpx.AsyncClient, host: str, port: str) -> None:
    await register(auth)
    auth.cookies.clear()
    body = {"username": "Ada", "password": PASSWORD}
    answer = await auth.post("/auth/login", json=body, headers=[(b"Host", host.encode())])
    assert cookies_set(answer).keys() == {f"refresh_token_{port}", f"device_{port}", f"signed_in_{port}"}


async def test_two_systems_on_one_host_keep_their_own_cookies(auth: httpx.AsyncClient, mysql: Any) -> None:
    """A browser sends both what either has set."""
    await register(auth)
    other = {"refresh_token_8081": "x" * 43, "device_8081": "x", "signed_in_8081": "1"}
    signed_in = cookies_set(await from_port(auth, "localhost:8080", "/auth/login", other))
    assert other.keys().isdisjoint(signed_in)
    own = {name: value for name, (value, _) in signed_in.items()}
    renewed = await from_port(auth, "localhost:8080", "/auth/refresh", other | own)
    assert renewed.status_code == 200
    own |= {name: value for name, (value, _) in cookies_set(renewed).items()}
    ended = await from_port(auth, "localhost:8080", "/auth/logout", other | own)
    assert cookies_set(ended).keys() == {"refresh_token_8080", "signed_in_8080"}
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0
    assert_problem(await from_port(auth, "localhost:8080", "/auth/refresh", other), 401, "invalid-refresh-token")


async def test_the_name_of_before_is_still_read_and_gives_way_to_the_new_one(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    old = (await login(auth)).cookies[COOKIE]
    renewed = await from_port(auth, "localhost:8080", "/auth/refresh", {"refresh_token": old})
    assert renewed.status_code == 200
    given = cookies_set(renewed)
    assert given.keys() == {"refresh_token", "refresh_token_8080", "signed_in_8080"}
    value, had = given["refresh_token"]
    assert value == '""'
    assert had >= {"max-age=0", "path=/auth"}
    assert "max-age=2592000" in given["refresh_token_8080"][1]
    # Of both the new one counts.
    both = {"refresh_token": old, "refresh_token_8080": given["refresh_token_8080"][0]}
    ended = await from_port(auth, "localhost:8080", "/auth/logout", both)
    assert cookies_set(ended).keys() == {"refresh_token", "refresh_token_8080", "signed_in_8080"}
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


async def test_signing_out_by_the_name_of_before_ends_that_session(auth: httpx.AsyncClient, mysql: Any) -> None:
    await register(auth)
    old = (await login(auth)).cookies[COOKIE]
    assert (await from_port(auth, "localhost:8080", "/auth/logout", {"refresh_token": old})).status_code == 204
    assert count(mysql, "SELECT COUNT(*) FROM refresh_families") == 0


@pytest.mark.parametrize(("scheme", "name"), [("http", "signed_in_80"), ("https", "__Host-signed_in")])
async def test_beside_the_refresh_cookie_one_tells_the_page_that_it_is_there(
    auth: httpx.AsyncClient, scheme: str, name: str
) -> None:
    secure = {"secure"} if scheme == "https" else set()
    account = {"username": "Ada", "password": PASSWORD}
    await register(auth)

    async def post(path: str, body: dict[str, str] | None = None, token: str = "") -> httpx.Response:
        answer = await auth.post(f"{scheme}://service{path}", json=body, headers=bearer(token) if token else {})
        assert answer.status_code < 300
        return answer

    for answer in (await post("/auth/login", account), await post("/auth/refresh")):
        assert cookies_set(answer)[name] == ("1", {"max-age=2592000", "path=/", "samesite=strict", *secure})
    signed_out = await post("/auth/logout")
    token = (await post("/auth/login", account)).json()["access_token"]
    for answer in (signed_out, await post("/auth/me/deletion", {"password": PASSWORD}, token)):
        value, had = cookies_set(answer)[name]
        assert value == '""'
        assert had >= {"max-age=0", "path=/", *secure}
