"""Webhooks over HTTP: made, shown, changed, tried and deleted by admins, with every act in the log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.common.encryption import Encryption
from services.common.mysql.database import Database
from services.common.tokens import KeyRing, Scope
from services.leaderboard import events
from services.leaderboard.app import create_app
from services.leaderboard.events import Kind
from services.leaderboard.settings import LeaderboardSettings
from services.leaderboard.webhooks.secret_keys import SecretsAnew, unseal
from tests.playing import API, get
from tests.receivers import LOOPBACK, Receiver, answering, encryption_of, receiving
from tests.system import Accounts, assert_problem, eventually, rows, serving

WEBHOOKS = f"{API}/webhooks"
URL = "http://127.0.0.1:1/hook"


@pytest.fixture
async def service(leaderboard_settings: LeaderboardSettings, mysql: object) -> AsyncIterator[httpx.AsyncClient]:
    """The service, which may send to receivers on this machine."""
    async with serving(create_app(leaderboard_settings.model_copy(update={"webhook_networks": LOOPBACK}))) as client:
        yield client


@pytest.fixture
def admin(accounts: Accounts) -> dict[str, str]:
    return accounts.new("Ada", 900, scopes=[Scope.ADMIN, Scope.MODERATE])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def put(
    client: httpx.AsyncClient, admin: dict[str, str], name: str = "studio", url: str = URL, *kinds: str
) -> dict[str, Any]:
    body = {"url": url, "events": list(kinds) or ["period.settled"]}
    answer = await client.put(f"{WEBHOOKS}/{name}", json=body, headers=admin)
    assert answer.status_code in {200, 201}, answer.text
    assert answer.headers["cache-control"] == "no-store"
    webhook: dict[str, Any] = answer.json()
    return webhook


async def test_a_webhook_is_made_with_a_secret_that_is_shown_once(
    service: httpx.AsyncClient, admin: dict[str, str], mysql: Any, leaderboard_settings: LeaderboardSettings
) -> None:
    made = await put(service, admin, "studio", URL, "period.settled", "period.opened", "period.settled")
    secret = made.pop("secret")
    assert made == {
        "name": "studio",
        "url": URL,
        "events": ["period.opened", "period.settled"],
        "state": "on",
        "paused_until": None,
        "old_secret_until": None,
        "created_at": made["created_at"],
        "pending": 0,
        "failed": 0,
    }
    assert await put(service, admin, "studio", URL, "period.settled", "period.opened") == made
    assert await get(service, "webhooks/studio", admin) == made
    assert await get(service, "webhooks", admin) == {"webhooks": [made]}
    [(sealed,)] = rows(mysql, "SELECT secret FROM webhooks")
    assert unseal(encryption_of(leaderboard_settings), "studio", sealed) == secret
    stored = b"".join(
        repr(row).encode() for table in ("webhooks", "moderation_log") for row in rows(mysql, f"SELECT * FROM {table}")
    )
    assert secret.removeprefix("whsec_").encode() not in stored
    changed = await put(service, admin, "studio", f"{URL}/other", "period.corrected")
    assert "secret" not in changed
    assert (changed["url"], changed["events"]) == (f"{URL}/other", ["period.corrected"])


async def test_two_who_make_it_at_once_have_one_webhook_and_one_secret(
    service: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    made = await asyncio.gather(*(put(service, admin) for _ in range(6)))
    assert sum("secret" in each for each in made) == 1
    assert len((await get(service, "webhooks", admin))["webhooks"]) == 1


async def test_there_are_so_many_webhooks_and_no_more(service: httpx.AsyncClient, admin: dict[str, str]) -> None:
    for number in range(32):
        await put(service, admin, f"studio-{number}")
    body = {"url": URL, "events": ["period.settled"]}
    assert_problem(await service.put(f"{WEBHOOKS}/more", json=body, headers=admin), 409, "too-many-webhooks")
    await put(service, admin, "studio-3")
    assert (await service.delete(f"{WEBHOOKS}/studio-3", headers=admin)).status_code == 204
    await put(service, admin, "more")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
        "https://192.168.1.1:8443/",
        "http://1.1.1.1/",
        "https://nobody.invalid/",
        "https://user:secret@127.0.0.1/",
        "ftp://127.0.0.1/",
        "127.0.0.1",
    ],
)
async def test_a_url_to_which_nothing_is_sent_is_refused(service: httpx.AsyncClient, admin: dict[str, str], url: str) -> None:
    answer = await service.put(f"{WEBHOOKS}/studio", json={"url": url, "events": ["period.settled"]}, headers=admin)
    assert_problem(answer, 422, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "#/url"
    assert await get(service, "webhooks", admin) == {"webhooks": []}


async def test_without_the_setting_no_webhook_is_on_this_machine(leaderboard: httpx.AsyncClient, admin: dict[str, str]) -> None:
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0.0.0.0", "[::1]"):  # noqa: S104 - asked for, not bound
        for scheme in ("http", "https"):
            body = {"url": f"{scheme}://{host}/", "events": ["period.settled"]}
            assert_problem(await leaderboard.put(f"{WEBHOOKS}/studio", json=body, headers=admin), 422, "invalid-request")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": URL},
        {"url": URL, "events": []},
        {"url": URL, "events": ["period.lost"]},
        {"url": URL, "events": "period.settled"},
        {"url": 5, "events": ["period.settled"]},
        {"url": URL, "events": ["period.settled"], "secret": "mine"},
        {"url": URL, "events": ["period.settled"] * 21},
    ],
)
async def test_a_body_that_is_no_webhook_is_refused(service: httpx.AsyncClient, admin: dict[str, str], body: object) -> None:
    assert_problem(await service.put(f"{WEBHOOKS}/studio", json=body, headers=admin), 422, "invalid-request")


async def test_what_is_not_there_is_not_found(service: httpx.AsyncClient, admin: dict[str, str]) -> None:
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/secrets"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/replay"),
        ("POST", "/deliveries/1/replay"),
    ):
        answer = await service.request(method, f"{WEBHOOKS}/nobody{path}", headers=admin)
        assert_problem(answer, 404, "webhook-not-found")
    await put(service, admin)
    assert_problem(await service.post(f"{WEBHOOKS}/studio/deliveries/1/replay", headers=admin), 404, "delivery-not-found")
    for path in ("studio/deliveries?state=lost", "studio/deliveries?cursor=x", "studio/deliveries?limit=0", "St%C3%BCdio"):
        assert_problem(await service.get(f"{WEBHOOKS}/{path}", headers=admin), 422, "invalid-request")


async def test_a_webhook_can_be_tried_and_what_became_of_it_is_shown(
    service: httpx.AsyncClient, admin: dict[str, str], receiver: Receiver, leaderboard_database: Database
) -> None:
    receiver.reply = answering("400 No")
    made = await put(service, admin, "studio", receiver.url)
    await put(service, admin, "other", receiver.url, "period.opened")
    written = await service.post(f"{WEBHOOKS}/studio/test", headers=admin)
    assert (written.status_code, written.json()["state"], written.json()["tries"]) == (202, "pending", 0)
    [first] = await receiver.wait_for(1)
    assert first.verified(made["secret"])["data"] == {"webhook": "studio"}
    deliveries: list[dict[str, Any]] = []

    async def shown(**expected: object) -> bool:
        nonlocal deliveries
        deliveries = (await get(service, "webhooks/studio/deliveries", admin))["deliveries"]
        return len(deliveries) == 1 and deliveries[0].items() >= expected.items()

    await eventually(lambda: shown(state="pending", tries=1, status=400, error="answered 400"))
    assert deliveries[0]["event_id"] == first.message_id
    assert deliveries[0]["next_at"] > deliveries[0]["tried_at"]
    path = f"{WEBHOOKS}/studio/deliveries/{deliveries[0]['delivery_id']}/replay"
    for count in (2, 3):
        assert (await service.post(path, headers=admin)).status_code == 202
        await receiver.wait_for(count)
        await eventually(lambda: shown(state="delivered", tries=1, status=204, error=None, next_at=None))
    assert len(set(receiver.ids)) == 1
    await leaderboard_database.transaction(lambda connection: events.add(connection, Kind.PERIOD_SETTLED, {"board": "cup"}))
    await receiver.wait_for(4)
    assert receiver.received[3].verified(made["secret"])["type"] == "period.settled"


async def test_deliveries_are_read_page_by_page_and_by_state(
    service: httpx.AsyncClient, admin: dict[str, str], leaderboard_database: Database, mysql: Any
) -> None:
    await put(service, admin)
    rows(mysql, "UPDATE webhooks SET paused_until = NOW(6) + INTERVAL 1 HOUR")
    for _ in range(5):
        await leaderboard_database.transaction(lambda connection: events.add(connection, Kind.PERIOD_SETTLED, {}))
    rows(mysql, "UPDATE deliveries SET state = 'failed' ORDER BY id LIMIT 2")
    found: list[int] = []
    path = "webhooks/studio/deliveries?limit=2"
    cursor: str | None = ""
    while cursor is not None:
        page = (await service.get(f"{API}/{path}{cursor}", headers=admin)).json()
        found += [each["delivery_id"] for each in page["deliveries"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert found == sorted(found, reverse=True)
    assert len(found) == 5
    failed = (await service.get(f"{API}/webhooks/studio/deliveries?state=failed", headers=admin)).json()["deliveries"]
    assert [each["delivery_id"] for each in failed] == found[3:]
    shown = await get(service, "webhooks/studio", admin)
    assert (shown["pending"], shown["failed"]) == (3, 2)
    assert shown["paused_until"] is not None
    answer = await service.post(f"{WEBHOOKS}/studio/deliveries/replay", headers=admin)
    assert (answer.status_code, answer.json()) == (202, {"replayed": 2})
    assert (await service.post(f"{WEBHOOKS}/studio/deliveries/replay", headers=admin)).json() == {"replayed": 0}


async def test_a_rotated_secret_is_shown_once_and_both_are_live(
    service: httpx.AsyncClient, admin: dict[str, str], receiver: Receiver
) -> None:
    made = await put(service, admin, "studio", receiver.url)
    answer = await service.post(f"{WEBHOOKS}/studio/secrets", headers=admin)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    rotated = answer.json()
    assert (await get(service, "webhooks/studio", admin))["old_secret_until"] == rotated["old_secret_until"]
    await service.post(f"{WEBHOOKS}/studio/test", headers=admin)
    [request] = await receiver.wait_for(1)
    request.verified(made["secret"], rotated["secret"])


async def test_every_act_is_in_the_log_without_a_secret_or_the_path_of_a_url(
    service: httpx.AsyncClient, admin: dict[str, str], accounts: Accounts
) -> None:
    secret_url = "http://127.0.0.1:1/hook?token=hidden"
    await put(service, admin, "studio", secret_url)
    await put(service, admin, "studio", secret_url)  # changes nothing, and is no act
    await put(service, admin, "studio", secret_url, "period.opened")
    for path in ("secrets", "test"):
        assert (await service.post(f"{WEBHOOKS}/studio/{path}", headers=admin)).is_success
    [delivery] = (await get(service, "webhooks/studio/deliveries", admin))["deliveries"]
    await service.post(f"{WEBHOOKS}/studio/deliveries/{delivery['delivery_id']}/replay", headers=admin)
    await service.delete(f"{WEBHOOKS}/studio", headers=admin)
    answer = await service.get(f"{API}/audit", headers=accounts.new("Moira", 901, scopes=[Scope.MODERATE]))
    entries = answer.json()["entries"]
    assert [each["act"] for each in reversed(entries)] == [
        "webhook_made",
        "webhook_changed",
        "webhook_secret_made",
        "webhook_tested",
        "deliveries_replayed",
        "webhook_deleted",
    ]
    assert {(each["user_id"], each["by"]["user_id"], each["was"]["webhook"]) for each in entries} == {(None, 900, "studio")}
    assert entries[-2]["was"] == {"webhook": "studio", "host": "127.0.0.1:1", "events": ["period.settled"], "state": "on"}
    assert entries[-2]["became"]["events"] == ["period.opened"]
    assert "hidden" not in answer.text
    assert "whsec_" not in answer.text


async def test_secrets_are_encrypted_anew_with_the_key_that_encrypts_now(
    service: httpx.AsyncClient,
    admin: dict[str, str],
    leaderboard_settings: LeaderboardSettings,
    leaderboard_database: Database,
    mysql: Any,
) -> None:
    first = (await put(service, admin))["secret"]
    second = (await service.post(f"{WEBHOOKS}/studio/secrets", headers=admin)).json()["secret"]
    old = leaderboard_settings.encryption_keys.get_secret_value()
    new = "k2:" + "Q2xvdWRzIG1vdmUgb3ZlciB0aGUgaGlsbHMsIDEyMzQ1Ng"

    async def encrypt(encryption: Encryption) -> int:
        anew = SecretsAnew(encryption)
        return await leaderboard_database.transaction(lambda connection: anew.encrypt(connection, None, 10))  # type: ignore[arg-type]

    both = Encryption(KeyRing.parse(f"{new},{old}"))
    assert (await encrypt(both), await encrypt(both)) == (1, 0)
    alone = Encryption(KeyRing.parse(new))
    [sealed] = rows(mysql, "SELECT secret, old_secret FROM webhooks")
    assert [unseal(alone, "studio", each) for each in sealed] == [second, first]
    assert await encrypt(encryption_of(leaderboard_settings)) == 0  # a key that it does not know


async def test_metrics_tell_how_much_waits_and_has_arrived(
    service: httpx.AsyncClient, admin: dict[str, str], receiver: Receiver
) -> None:
    await put(service, admin, "studio", receiver.url)
    await service.post(f"{WEBHOOKS}/studio/test", headers=admin)
    await receiver.wait_for(1)

    async def told() -> bool:
        text = (await service.get("/metrics")).text
        return 'leaderboard_delivery_tries_total{arrived="true"} 1.0' in text and "leaderboard_deliveries_failed 0.0" in text

    await eventually(told)
