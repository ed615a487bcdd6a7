"""What the server has of a player: every session in its log, and the total on the main board."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from services.local.stack import Stack
from tests.playing import API
from tests.system import rows

_CLIENTS = "c:"


@dataclass(frozen=True)
class Counted:
    """One player's sessions and total."""

    user_id: int
    sessions: dict[str, list[int]]
    """The scores that are stored by each key of the client's own: one, unless something was counted twice."""
    total: int


async def find_counted(stack: Stack, keys: Sequence[str]) -> Counted:
    """What there is of the one player whose sessions have these keys. Holds that they are one player's, and no other's too."""
    user_id, sessions = await asyncio.to_thread(_sessions, stack, keys)
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        answer = await client.get(f"{API}/rank/{user_id}")
    assert answer.status_code == 200, answer.text
    return Counted(user_id, sessions, answer.json()["total_score"])


def _sessions(stack: Stack, keys: Sequence[str]) -> tuple[int, dict[str, list[int]]]:
    connection: Any = stack.mysql.connect(database=stack.database, autocommit=True)
    try:
        written = [_CLIENTS + key for key in keys]
        users = rows(connection, "SELECT DISTINCT user_id FROM game_sessions WHERE submission_key IN %s", written)
        assert len(users) == 1, f"the sessions are of {len(users)} players: {users}"
        [(user_id,)] = users
        found = rows(connection, "SELECT submission_key, score FROM game_sessions WHERE user_id = %s", user_id)
    finally:
        connection.close()
    sessions: dict[str, list[int]] = {}
    for key, score in found:
        sessions.setdefault(key.decode().removeprefix(_CLIENTS), []).append(score)
    return user_id, sessions
