"""An account's export: streamed a page at a time, one at a time an account, over all processes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.auth import exports
from services.auth.app import create_app
from services.auth.audit import events
from services.auth.http.schemas import AccountExport
from services.auth.settings import AuthSettings
from tests.signing_in import Clock, count, login, register, sign_in
from tests.system import PASSWORD, assert_problem, eventually, serving

PATH = "/auth/me/export"


def add_events(mysql: Any, how_many: int) -> None:
    """Add so many events to the log of the one account there is."""
    with mysql.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO audit_events (event, user_id, detail, occurred_at)"
            " SELECT 'logged_in', id, %s, UTC_TIMESTAMP(6) FROM users",
            [('{"session_id": "x"}',)] * how_many,
        )


def leases(mysql: Any) -> int:
    return count(mysql, "SELECT COUNT(*) FROM export_leases")


class Reader:
    """A client that takes an answer as slowly as its test wants: each piece waits for the one before to be taken."""

    def __init__(self, app: Any, headers: dict[str, str]) -> None:
        self._app = app
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("service", 80),
        }
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
        self._left = asyncio.Event()
        self._asked = False

    async def __aenter__(self) -> "Reader":
        self.answer = asyncio.create_task(self._app(self._scope, self._receive, self._sent.put))
        self.status = (await self._sent.get())["status"]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        while not self.answer.done():
            while not self._sent.empty():
                self._sent.get_nowait()
            await asyncio.sleep(0.001)

    def leave(self) -> None:
        """Be gone, in the middle of the answer perhaps."""
        self._left.set()

    def has_piece(self) -> bool:
        return not self._sent.empty()

    async def waits(self) -> bool:
        """Whether the service waits for the next piece to be taken, or has no other."""
        return self.has_piece()

    async def piece(self) -> bytes:
        body: bytes = (await self._sent.get())["body"]
        return body

    async def rest(self) -> bytes:
        """What is left, to the end of the document or to where it was cut."""
        found = b""
        while not (self.answer.done() and self._sent.empty()):
            try:
                message = await asyncio.wait_for(self._sent.get(), 0.05)
            except TimeoutError:
                continue
            found += message["body"]
        return found

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
async def app(auth_settings: AuthSettings, mysql: object, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(exports, "PAGE", 3)
    app = create_app(auth_settings, clock)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        yield client


@pytest.mark.parametrize("how_many", [0, 1, 2, 3, 4, 7])
async def test_it_is_whole_wherever_its_pages_end_and_holds_to_its_schema(
    client: httpx.AsyncClient, mysql: Any, how_many: int
) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, how_many)
    answer = await client.get(PATH, headers=here)
    assert answer.status_code == 200
    document = answer.json()
    assert AccountExport.model_validate_json(answer.content).model_dump(mode="json") == document
    assert [each["event"] for each in document["events"]] == ["registered", *["logged_in"] * (how_many + 1), "account_exported"]
    assert [each["address"] for each in document["events"]] == ["127.0.0.1"] * 2 + [None] * how_many + ["127.0.0.1"]
    assert leases(mysql) == 0


async def test_it_is_read_as_it_is_taken_and_a_piece_is_a_page(app: Any, client: httpx.AsyncClient, mysql: Any) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 10)
    async with Reader(app, here) as reader:
        assert (await reader.piece()).count(b'"event"') == 3
        with mysql.cursor() as cursor:  # nobody has looked at these yet, but for the pages that wait to be taken
            cursor.execute("DELETE FROM audit_events WHERE event = 'logged_in' ORDER BY id DESC LIMIT 4")
        rest = await reader.rest()
        assert rest.count(b'"event"') == 6
        assert rest.endswith(b"]}")


async def test_events_that_come_meanwhile_do_not_make_it_longer(app: Any, client: httpx.AsyncClient, mysql: Any) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 10)
    async with Reader(app, here) as reader:
        document = await reader.piece()
        add_events(mysql, 10)
        document += await reader.rest()
    assert len(json.loads(document)["events"]) == 13
    assert json.loads(document)["events"][-1]["event"] == "account_exported"


async def test_an_account_has_one_export_at_a_time_over_all_processes(
    app: Any, client: httpx.AsyncClient, mysql: Any, auth_settings: AuthSettings, clock: Clock
) -> None:
    await register(client)
    await register(client, "Bob")
    here, _ = await sign_in(client)
    bob, _ = await sign_in(client, username="Bob")
    with mysql.cursor() as cursor:
        cursor.execute("DELETE FROM audit_events")
    async with serving(create_app(auth_settings, clock)) as another:
        async with Reader(app, here) as reader:
            for process in (client, another):
                refused = await process.get(PATH, headers=here)
                assert_problem(refused, 429, "export-under-way")
                assert int(refused.headers["retry-after"]) >= 1
                assert (await process.get(PATH, headers=bob)).status_code == 200
            assert count(mysql, "SELECT COUNT(*) FROM audit_events WHERE event = 'account_exported'") == 3
            assert (await reader.rest()).endswith(b"]}")
        assert (await another.get(PATH, headers=here)).status_code == 200


async def test_of_many_exports_at_once_one_is_sent(client: httpx.AsyncClient, mysql: Any, app: Any) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 10)
    readers = [Reader(app, here) for _ in range(8)]
    for reader in await asyncio.gather(*(reader.__aenter__() for reader in readers)):
        assert reader.status in {200, 429}
    assert sorted(reader.status for reader in readers) == [200] + [429] * 7
    await asyncio.gather(*(reader.__aexit__() for reader in readers))


async def test_whoever_leaves_gives_the_turn_back(app: Any, client: httpx.AsyncClient, mysql: Any) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 100)
    async with Reader(app, here) as reader:
        await reader.piece()
        assert leases(mysql) == 1
    assert leases(mysql) == 0
    assert (await client.get(PATH, headers=here)).status_code == 200


async def test_whoever_leaves_while_a_page_is_read_gives_the_turn_back(app: Any, client: httpx.AsyncClient, mysql: Any) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 30)

    async def reading() -> bool:
        if reader.has_piece():
            await reader.piece()
        return count(mysql, "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'") == 1

    async with Reader(app, here) as reader:
        with mysql.cursor() as cursor:
            cursor.execute("LOCK TABLES audit_addresses WRITE")
            await eventually(reading)
            reader.leave()
            await asyncio.wait([reader.answer], timeout=5)
            cursor.execute("UNLOCK TABLES")
    assert leases(mysql) == 0


async def test_a_turn_that_died_with_its_process_is_anothers_after_a_minute(
    client: httpx.AsyncClient, mysql: Any, clock: Clock
) -> None:
    await register(client)
    here, _ = await sign_in(client)
    with mysql.cursor() as cursor:
        cursor.execute(
            "INSERT INTO export_leases SELECT id, REPEAT('x', 16), %s FROM users",
            (clock.now.replace(tzinfo=None) + exports.LEASE,),
        )
    assert_problem(await client.get(PATH, headers=here), 429, "export-under-way")
    clock.advance(seconds=59)
    assert_problem(await client.get(PATH, headers=here), 429, "export-under-way")
    clock.advance(seconds=1)
    assert (await client.get(PATH, headers=here)).status_code == 200


async def test_who_reads_on_keeps_the_turn_and_who_does_not_loses_it_to_the_next(
    app: Any, client: httpx.AsyncClient, mysql: Any, clock: Clock
) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 60)
    async with Reader(app, here) as slow:
        for _ in range(5):
            clock.advance(seconds=30)
            await slow.piece()
            await eventually(slow.waits)
            assert_problem(await client.get(PATH, headers=here), 429, "export-under-way")
        clock.advance(seconds=61)
        assert (await client.get(PATH, headers=here)).status_code == 200
        assert not (await slow.rest()).endswith(b"]}")  # cut: nobody has two at once
        assert slow.answer.exception() is None


async def test_the_export_of_an_account_that_is_deleted_meanwhile_is_cut(
    app: Any, client: httpx.AsyncClient, mysql: Any, clock: Clock
) -> None:
    await register(client)
    here, _ = await sign_in(client)
    add_events(mysql, 60)
    async with Reader(app, here) as reader:
        await reader.piece()
        assert (await client.post("/auth/me/deletion", json={"password": PASSWORD}, headers=here)).status_code == 204
        clock.advance(seconds=30)
        assert not (await reader.rest()).endswith(b"]}")


async def test_who_reads_slowly_holds_no_connection(auth_settings: AuthSettings, mysql: Any) -> None:
    app = create_app(auth_settings.model_copy(update={"mysql_pool_size": 1, "mysql_timeout": 2.0}))
    async with serving(app) as client:
        await register(client)
        here, _ = await sign_in(client)
        add_events(mysql, 4 * exports.PAGE)
        async with Reader(app, here) as reader:
            await reader.piece()
            assert (await login(client)).status_code == 200


async def test_a_page_is_read_by_an_index_and_not_through_what_happened_to_others(
    client: httpx.AsyncClient, mysql: Any, app: Any
) -> None:
    await register(client)
    add_events(mysql, 300)
    with mysql.cursor() as cursor:
        for _ in range(6):
            cursor.execute(
                "INSERT INTO audit_events (event, user_id, occurred_at) SELECT event, 1000000, occurred_at FROM audit_events"
            )
        cursor.execute("ANALYZE TABLE audit_events")
        cursor.fetchall()
        cursor.execute("SELECT MIN(id), MAX(id), COUNT(*) FROM audit_events")
        _, last, total = cursor.fetchone()
        assert total > 15_000
    async with app.state.database.reading() as connection:
        user_id = count(mysql, "SELECT id FROM users")
        before = await rows_read(connection)
        page = await events.list_events(connection, user_id, after=50, upto=last, limit=100)
        assert len(page) == 100
        assert await rows_read(connection) - before < 1_000


async def rows_read(connection: Any) -> int:
    """How many rows this connection has had read so far, in tables and indexes."""
    found = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read_%%'")
    return sum(int(value) for _, value in found)
