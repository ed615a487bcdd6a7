"""People who make an account, and delete it with one call."""

from typing import Any

import httpx
import jwt

from tests.system import PASSWORD, bearer, eventually, rows, sign_up


async def join(auth: httpx.AsyncClient, name: str) -> tuple[int, dict[str, str]]:
    """A new account; gives its number, and the header of a token of it."""
    token = await sign_up(auth, name)
    user_id = int(jwt.decode(token, options={"verify_signature": False})["sub"])
    return user_id, bearer(token)


async def delete(auth: httpx.AsyncClient, token: dict[str, str]) -> None:
    """The one call that deletes a person."""
    answer = await auth.post("/auth/me/deletion", json={"password": PASSWORD}, headers=token)
    assert answer.status_code == 204, answer.text


def remains(mysql: Any, user_id: int) -> list[tuple[Any, ...]]:
    """What there still is of a player, by table."""
    return rows(
        mysql,
        "SELECT 'players', COUNT(*) FROM players WHERE user_id = %s HAVING COUNT(*) > 0"
        " UNION ALL SELECT 'log', COUNT(*) FROM game_sessions WHERE user_id = %s HAVING COUNT(*) > 0"
        " UNION ALL SELECT 'ranked', COUNT(*) FROM standings WHERE user_id = %s AND score IS NOT NULL HAVING COUNT(*) > 0"
        " UNION ALL SELECT 'erasures', COUNT(*) FROM erasures WHERE user_id = %s HAVING COUNT(*) > 0",
        *[user_id] * 4,
    )


async def is_gone(mysql: Any, user_id: int) -> None:
    """Return when nothing is left of a player in MySQL."""

    async def gone() -> bool:
        return remains(mysql, user_id) == []

    await eventually(gone)
