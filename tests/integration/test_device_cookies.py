"""A browser that has signed in before: strangers' guesses do not delay it, and its cookie gives no more than that."""

import httpx
import pytest
from pydantic import SecretStr

from services.auth.app import create_app
from services.auth.settings import AuthSettings
from tests.signing_in import Clock
from tests.system import PASSWORD, assert_problem, bearer, serving

WRONG = "wrong horse battery"
NEW = "another horse battery"


@pytest.fixture
async def auth(timed_auth: httpx.AsyncClient) -> httpx.AsyncClient:
    """The auth service with two accounts."""
    for username in ("Ada", "Bob"):
        assert (await timed_auth.post("/auth/register", json={"username": username, "password": PASSWORD})).status_code == 201
    return timed_auth


async def login(
    client: httpx.AsyncClient, device: str | None = None, password: str = PASSWORD, username: str = "Ada"
) -> httpx.Response:
    """Sign in with no cookie but this."""
    client.cookies.clear()
    headers = {} if device is None else {"Cookie": f"device_80={device}"}
    return await client.post("/auth/login", json={"username": username, "password": password}, headers=headers)


async def known(client: httpx.AsyncClient, username: str = "Ada", password: str = PASSWORD) -> str:
    """The cookie of a browser that signs in."""
    answer = await login(client, None, password, username)
    assert answer.status_code == 200
    return answer.cookies["device_80"]


async def guess(client: httpx.AsyncClient, times: int, device: str | None = None) -> None:
    for _ in range(times):
        assert_problem(await login(client, device, WRONG), 401, "invalid-credentials")


async def test_a_browser_that_signed_in_before_does_so_again_while_strangers_guess(auth: httpx.AsyncClient) -> None:
    device = await known(auth)
    await guess(auth, 6)
    assert_problem(await login(auth), 429, "too-many-failures")
    assert (await login(auth, device)).status_code == 200
    assert_problem(await login(auth), 429, "too-many-failures")  # to strangers nothing has changed


async def test_its_own_wrong_passwords_are_counted_and_delayed_and_nobody_elses(auth: httpx.AsyncClient, clock: Clock) -> None:
    device, other = await known(auth), await known(auth)
    await guess(auth, 6, device)
    assert_problem(await login(auth, device), 429, "too-many-failures")
    assert (await login(auth)).status_code == 200
    assert (await login(auth, other)).status_code == 200
    clock.advance(seconds=5)
    assert (await login(auth, device)).status_code == 200


async def test_it_is_good_for_one_account_one_password_and_its_time(auth: httpx.AsyncClient, clock: Clock) -> None:
    bobs, adas = await known(auth, "Bob"), await known(auth)
    forged = ("B" if adas[0] == "A" else "A") + adas[1:]
    await guess(auth, 6)
    clock.advance(seconds=4.9)
    for device in (bobs, forged, adas[:-1], adas + "A", "", "%00", "!" * 75, "A" * 75):
        assert_problem(await login(auth, device), 429, "too-many-failures")
    clock.advance(days=179.9)
    await guess(auth, 1)  # the next delay
    assert (await login(auth, adas)).status_code == 200
    clock.advance(days=0.2)
    await guess(auth, 1)  # the next delay
    assert_problem(await login(auth, adas), 429, "too-many-failures")


async def test_another_password_makes_every_cookie_worthless_but_the_one_that_comes_with_it(auth: httpx.AsyncClient) -> None:
    """Else whoever knew the old password could have collected cookies, and guess with each."""
    collected = [await known(auth) for _ in range(2)]
    me = bearer((await login(auth)).json()["access_token"])
    auth.cookies.clear()
    body = {"current_password": PASSWORD, "new_password": NEW}
    changed = await auth.put("/auth/me/password", json=body, headers=me)
    assert changed.status_code == 204
    await guess(auth, 6)
    for device in collected:
        assert_problem(await login(auth, device, NEW), 429, "too-many-failures")
    assert (await login(auth, changed.cookies["device_80"], NEW)).status_code == 200


async def test_it_stays_good_while_the_key_is_rotated_and_the_old_one_is_live(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, clock: Clock
) -> None:
    device = await known(auth)
    await guess(auth, 6)
    new, old = "k2:A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v", auth_settings.jwt_keys.get_secret_value()
    for keys, status in ((f"{new},{old}", 200), (new, 429)):
        rotated = auth_settings.model_copy(update={"jwt_keys": SecretStr(keys)})
        async with serving(create_app(rotated, clock)) as service:
            assert (await login(service, device)).status_code == status


@pytest.mark.parametrize(("scheme", "name"), [("http", "device_80"), ("https", "__Secure-device")])
async def test_no_script_and_no_other_site_gets_it(auth: httpx.AsyncClient, scheme: str, name: str) -> None:
    credentials = {"username": "Ada", "password": PASSWORD}
    answer = await auth.post(f"{scheme}://service/auth/login", json=credentials)
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{name}=")]
    _, *attributes = cookie.split("; ")
    secure = ["Secure"] if scheme == "https" else []
    assert sorted(attributes) == sorted(["HttpOnly", "Max-Age=15552000", "Path=/auth", "SameSite=strict", *secure])


async def test_signing_out_leaves_it_and_deleting_the_account_takes_it_back(auth: httpx.AsyncClient) -> None:
    signed_in = await login(auth)
    signed_out = await auth.post("/auth/logout")
    assert not any(each.startswith("device_80=") for each in signed_out.headers.get_list("set-cookie"))
    me = bearer((await login(auth)).json()["access_token"])
    deleted = await auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=me)
    assert deleted.status_code == 204
    assert any(each.startswith('device_80="";') for each in deleted.headers.get_list("set-cookie"))
    assert signed_in.cookies["device_80"]
