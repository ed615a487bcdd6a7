"""docs/security.md's runbooks, pasted into a shell and into MySQL, do what they say."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from services.common.tokens import KeyRing
from services.local.secrets import ensure_env_file
from services.local.stack import Stack
from tests.e2e.pasting import paste, paste_locally
from tests.e2e.visitor import new_name
from tests.snippets import take
from tests.staffing import equip
from tests.system import bearer, rows, sign_up

ROTATE, LEAK, STAFF, SESSIONS, DELETION = take("docs/security.md", "sh", without="docker compose")
LOOK, FORGET = take("docs/security.md", "sql")


def live(env_file: Path) -> KeyRing:
    return KeyRing.parse(ensure_env_file(env_file)["JWT_KEYS"])


def test_the_keys_are_rotated_and_replaced(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    ensure_env_file(env_file)
    before = live(env_file)
    paste_locally(ROTATE, tmp_path, tmp_path)
    rotated = live(env_file)
    assert before.signing_kid not in rotated.keys
    paste_locally(LEAK, tmp_path, tmp_path)
    assert rotated.signing_kid not in live(env_file).keys


@pytest.fixture
def names() -> tuple[str, str]:
    """In the place of Ada and Grace."""
    return new_name(), new_name()


async def test_operators_give_roles_end_sessions_and_delete_people(
    stack: Stack, secrets: dict[str, str], names: tuple[str, str], tmp_path: Path
) -> None:
    ada, grace = names

    def run(script: str) -> list[str]:
        return paste(script.replace("Ada", ada).replace("Grace", grace), stack, secrets, tmp_path)

    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        own, _ = bearer(await sign_up(client, ada)), await sign_up(client, grace)
        first, *others = STAFF.splitlines(keepends=True)
        assert f"{ada} is an admin" in run(first)[0]
        await equip(client, own, datetime.now(UTC))
        told = run("".join(others))
        assert [line.split(".")[0] for line in told] == [
            f"{ada} has no second factor any more, and sets up another: POST /auth/me/second-factor",
            f"{grace} is a moderator",
            f"{grace} has no role any more",
        ]
        assert (await client.get("/auth/me", headers=own)).status_code == 200
        run(SESSIONS)
        assert (await client.get("/auth/me", headers=own)).status_code == 401
        assert f"{ada} was account" in run(DELETION)[0]


def test_what_is_asked_of_the_audit_log_is_answered(stack: Stack) -> None:
    with stack.mysql.connect(database=stack.database, autocommit=True) as mysql:
        assert all(len(row) == 4 for row in rows(mysql, LOOK))
        rows(mysql, FORGET)
