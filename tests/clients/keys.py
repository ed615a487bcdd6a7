"""Keys of game servers."""

import uuid

import httpx
import jwt

from services.common.tokens import Scope
from services.local.stack import Stack
from tests.signing_in import give_role
from tests.system import Accounts, sign_up


async def new_server_key(stack: Stack, accounts: Accounts, name: str) -> dict[str, str]:
    """A key that submits scores, as an admin of this name makes it: its `client_id` and `client_secret`."""
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        said = jwt.decode(await sign_up(client, name), options={"verify_signature": False})
        session = uuid.UUID(said["sid"])
        with stack.mysql.connect(database=stack.database, autocommit=True) as connection:
            give_role(connection, int(said["sub"]), session, "admin")
        admin = accounts.new(name, int(said["sub"]), scopes=tuple(Scope), session_id=session)
        made = await client.post("/auth/keys", json={"name": name, "scopes": ["scores:write"]}, headers=admin)
        assert made.status_code == 201, made.text
    return {part: made.json()[part] for part in ("client_id", "client_secret")}
