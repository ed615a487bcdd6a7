"""Keys of game servers on the running system."""

from typing import Any

import httpx

from services.local.stack import Stack
from tests.e2e.visitor import new_name
from tests.signing_in import staff
from tests.system import Accounts


async def make_key(stack: Stack, accounts: Accounts, url: str, *scopes: str) -> dict[str, str]:
    """A key that an admin has made: `client_id` and `client_secret`. It has the scope `scores:write` if none is named."""
    connection: Any = stack.mysql.connect(database=stack.database, autocommit=True)
    try:
        async with httpx.AsyncClient(base_url=url) as client:
            admin = await staff(client, accounts, connection, username=new_name())
            named = {"name": "tests", "scopes": list(scopes or ("scores:write",))}
            answer = await client.post("/auth/keys", json=named, headers=admin)
    finally:
        connection.close()
    assert answer.status_code == 201, answer.text
    key = answer.json()
    return {name: key[name] for name in ("client_id", "client_secret")}
