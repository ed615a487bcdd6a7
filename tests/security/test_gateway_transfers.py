"""Exports and imports through the gateway: written while they are sent, compressed, and never cut short without a sign."""

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pymysql
import pytest

from services.leaderboard.http.staff.transfers import MOST_IMPORTED_BYTES
from services.local.stack import Stack
from tests.moderating import moderator
from tests.playing import API, add_sessions
from tests.system import Accounts, assert_problem, rows
from tests.transfers import NDJSON, importer

PLAYER = 7_100_001
SESSIONS = 12_000


@pytest.fixture(scope="module")
def log(stack: Stack) -> Iterator[Any]:
    """A player with a log that is larger than what waits between two ends of a connection, compressed too."""
    with stack.mysql.connect(database=stack.database, autocommit=True) as connection, connection.cursor() as cursor:
        add_sessions(connection, PLAYER, SESSIONS)
        cursor.executemany(
            "INSERT INTO session_extras (session_id, extra) VALUES (%s, %s)",
            [
                (session_id, f'"{secrets.token_urlsafe(750)}"')
                for (session_id,) in rows(connection, "SELECT id FROM game_sessions WHERE user_id = %s", PLAYER)
            ],
        )
        yield connection
        cursor.execute("DELETE FROM session_extras")
        cursor.execute("DELETE FROM game_sessions WHERE user_id = %s", (PLAYER,))


@asynccontextmanager
async def begun(gateway_url: str, headers: dict[str, str]) -> AsyncIterator[asyncio.StreamReader]:
    """An export, of which nothing is read yet, for a block."""
    address = urlsplit(gateway_url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((address.hostname, address.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
    lines = [f"GET {API}/sessions/export?user_id={PLAYER} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_an_export_is_sent_while_it_is_written(gateway_url: str, accounts: Accounts, log: Any, coding: str) -> None:
    headers = {**moderator(accounts), "Accept-Encoding": coding}
    async with (
        httpx.AsyncClient(base_url=gateway_url, timeout=60) as client,
        client.stream("GET", f"{API}/sessions/export?user_id={PLAYER}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers.get("content-encoding", "identity") == coding
        assert answer.headers["transfer-encoding"] == "chunked"
        text = [line async for line in answer.aiter_lines()]
    assert len(text) == SESSIONS
    assert json.loads(text[-1])["user_id"] == PLAYER


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_one_that_dies_in_the_middle_has_no_end(
    gateway_url: str, stack: Stack, accounts: Accounts, log: Any, coding: str
) -> None:
    """MySQL ends the export's connection while its reader has it wait: what cannot be finished, the client can tell."""
    received = b""
    async with begun(gateway_url, {**moderator(accounts), "Accept-Encoding": coding}) as reader:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        listed = "SELECT id FROM information_schema.processlist WHERE db = %s AND user = 'leaderboard'"
        for (connection_id,) in rows(log, listed, stack.database):
            with suppress(pymysql.MySQLError):  # it has ended by itself
                rows(log, f"KILL {connection_id}")
        with suppress(ConnectionResetError):
            while piece := await asyncio.wait_for(reader.read(1 << 20), 60):
                received += piece
    assert not received.endswith(b"0\r\n\r\n")


async def test_an_import_is_as_large_as_the_document_says_and_a_refusal_is_heard_by_who_sends_one(
    gateway_url: str, accounts: Accounts
) -> None:
    line = b'{"player": "nobody at all", "score": 1}'
    large = (line + b" " * (60_000 - len(line)) + b"\n") * (MOST_IMPORTED_BYTES // 60_001)
    async with httpx.AsyncClient(base_url=gateway_url, timeout=60) as client:
        headers = {**importer(accounts), "Content-Type": NDJSON}
        answer = await client.post(f"{API}/import?dry_run=true", content=large, headers=headers)
        assert answer.status_code == 200, answer.text
        told = json.loads(answer.text.splitlines()[-1])
        assert (told["done"], told["refused"]) == (True, len(large.splitlines()))
        assert_problem(await client.post(f"{API}/import", content=large + line * 2000, headers=headers), 413, "body-too-large")
        refused = await client.post(f"{API}/import", content=large, headers={"Content-Type": NDJSON})
        assert_problem(refused, 401, "unauthenticated")
