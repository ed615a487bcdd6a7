"""The audit log: what it holds, what it forgets, and what it never learns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from pydantic import SecretStr

from services.auth.app import create_app
from services.auth.audit import events
from services.auth.audit.clients import Client
from services.auth.audit.events import Event
from services.auth.settings import AuthSettings
from services.common import upkeep
from services.common.mysql.database import Database
from services.common.upkeep import Upkeep
from tests.signing_in import COOKIE, login, refresh, register
from tests.system import PASSWORD, bearer, eventually, rows, serving

CLIENT = Client("192.0.2.7", "a browser")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_an_event_is_kept_with_its_account_its_address_and_its_detail(database: Database) -> None:
    event_id = await database.transaction(
        lambda connection: events.record(connection, Event.SESSION_ENDED, CLIENT, user_id=7, now=NOW, session_id="x")
    )
    async with database.reading() as connection:
        [kept] = await events.list_events(connection, 7, after=0, upto=event_id, limit=10)
        assert kept == events.AuditRecord(event_id, "session_ended", "192.0.2.7", {"session_id": "x"}, NOW)
        assert await events.list_events(connection, 8, after=0, upto=event_id, limit=10) == []


async def test_what_is_rolled_back_is_not_in_the_log(database: Database, mysql: Any) -> None:
    async def fails(connection: Any) -> None:
        await events.record(connection, Event.REGISTERED, CLIENT, user_id=7, now=NOW)
        raise LookupError

    with pytest.raises(LookupError):
        await database.transaction(fails)
    assert rows(mysql, "SELECT * FROM audit_events") == []
    assert rows(mysql, "SELECT * FROM audit_addresses") == []


async def test_addresses_are_forgotten_after_their_days_batch_by_batch_and_the_events_stay(
    database: Database, mysql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    for age in (0, 1, 2, 3, 4, 5):
        at = NOW - timedelta(days=age)
        await database.transaction(
            lambda connection, at=at: events.record(connection, Event.LOGGED_IN, CLIENT, user_id=7, now=at)  # type: ignore[misc]
        )
    batches = []

    async def forget(connection: Any, now: datetime, limit: int) -> int:
        batches.append(await events.forget_addresses(connection, now - timedelta(days=1), limit))
        return batches[-1]

    await Upkeep(database, lambda: NOW, {"forget": forget}, interval=600).round()
    assert batches == [2, 2, 0]
    kept = "SELECT address FROM audit_events LEFT JOIN audit_addresses ON event_id = id ORDER BY id"
    assert [row[0] for row in rows(mysql, kept)] == ["192.0.2.7"] * 2 + [None] * 4


async def test_a_chore_that_fails_keeps_no_other_from_being_done(database: Database) -> None:
    done = []

    async def fails(connection: Any, _now: datetime, _limit: int) -> int:
        await connection.exec_driver_sql("SELECT * FROM mysql.user")
        return 0

    async def works(_connection: Any, _now: datetime, limit: int) -> int:
        done.append(limit)
        return 0

    await Upkeep(database, lambda: NOW, {"fails": fails, "works": works}, interval=600).round()
    assert done == [upkeep.BATCH]


async def test_a_changed_signing_key_is_seen_once(auth_settings: AuthSettings, mysql: Any) -> None:
    seen = (
        "SELECT JSON_UNQUOTE(JSON_EXTRACT(detail, '$.kid')) FROM audit_events WHERE event = 'signing_key_changed' ORDER BY id"
    )
    old = auth_settings.jwt_keys.get_secret_value()
    new = f"k2:A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v,{old}"
    for keys, kids in ((old, ["k1"]), (old, ["k1"]), (new, ["k1", "k2"]), (new, ["k1", "k2"])):
        settings = auth_settings.model_copy(update={"jwt_keys": SecretStr(keys), "upkeep_seconds": 0.01})
        app = create_app(settings)
        async with serving(app) as client:
            await looked(app, client)
        assert [row[0] for row in rows(mysql, seen)] == kids


async def looked(app: Any, client: httpx.AsyncClient) -> None:
    """Return when the process has done its chores once more."""
    assert (await client.get("/auth/health/live")).status_code == 200
    before = app.state.upkeep.rounds

    async def again() -> bool:
        return bool(app.state.upkeep.rounds > before)

    await eventually(again)


async def test_what_happens_to_an_account_is_in_the_log_in_order(auth: httpx.AsyncClient, mysql: Any) -> None:
    new = "another horse battery"
    await register(auth)
    assert (await login(auth, "Ada", "wrong horse battery")).status_code == 401
    first = await login(auth)
    renewed = await refresh(auth, first.cookies[COOKIE])
    assert (await refresh(auth, renewed.cookies[COOKIE])).status_code == 200
    assert (await refresh(auth, first.cookies[COOKIE])).status_code == 401
    second = await login(auth)
    await auth.post("/auth/logout", headers={"Cookie": f"{COOKIE}={second.cookies[COOKIE]}"})
    other = (await login(auth)).json()["access_token"]
    await login(auth)
    me = bearer((await login(auth)).json()["access_token"])
    session = jwt.decode(other, options={"verify_signature": False})["sid"]
    assert (await auth.delete(f"/auth/sessions/{session}", headers=me)).status_code == 204
    assert (await auth.delete("/auth/sessions", headers=me)).status_code == 204
    change = {"current_password": "wrong horse battery", "new_password": new}
    assert (await auth.put("/auth/me/password", json=change, headers=me)).status_code == 403
    change["current_password"] = PASSWORD
    assert (await auth.put("/auth/me/password", json=change, headers=me)).status_code == 204
    assert (await auth.put("/auth/me/username", json={"username": "Eve"}, headers=me)).status_code == 200
    assert (await auth.get("/auth/me/export", headers=me)).status_code == 200
    assert (await auth.post("/auth/me/deletion", json={"password": new}, headers=me)).status_code == 204
    found = rows(
        mysql,
        "SELECT event, user_id, address FROM audit_events LEFT JOIN audit_addresses ON event_id = id"
        " WHERE event != 'signing_key_changed' ORDER BY id",
    )
    assert [event for event, _, _ in found] == [
        "registered",
        "login_failed",
        "logged_in",
        "refresh_reused",
        "logged_in",
        "logged_out",
        "logged_in",
        "logged_in",
        "logged_in",
        "session_ended",
        "sessions_ended",
        "password_refused",
        "password_changed",
        "username_changed",
        "account_exported",
        "account_deleted",
    ]
    assert len({user_id for _, user_id, _ in found}) == 1
    assert {address for _, _, address in found} == {"127.0.0.1"}
