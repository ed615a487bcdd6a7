"""What operators may do: end sessions, and erase whom the law or a person asks to be erased."""

import argparse
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.auth import operate
from services.auth.operate import NoSuchAccount
from services.auth.settings import AuthSettings
from services.leaderboard.operate.erase import erase
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.maintenance import maintain
from services.local.stack import Stack
from tests.system import PASSWORD, Accounts, assert_problem, bearer, eventually, sign_up


async def run(settings: AuthSettings, command: str = "end-sessions", *, name: str | None = None) -> str:
    """Do it to one, or to everybody."""
    return await operate.operate(settings, argparse.Namespace(command=command, name=name, everybody=name is None, role="admin"))


async def test_sessions_end_by_name_and_all_at_once(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate, "BATCH", 2)
    ada, *others = [bearer(await sign_up(auth, name)) for name in ("Ada", "Grace", "Edsger", "Barbara")]
    assert await run(auth_settings, name="ＡＤＡ") == "Sessions of ＡＤＡ that have ended: 1"
    assert_problem(await auth.get("/auth/me", headers=ada), 401)
    for other in others:
        assert (await auth.get("/auth/me", headers=other)).status_code == 200

    assert await run(auth_settings) == "Sessions that have ended: 3"
    for other in others:
        assert_problem(await auth.get("/auth/me", headers=other), 401)
    assert_problem(await auth.post("/auth/refresh"), 401, "invalid-refresh-token")
    with mysql.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, JSON_VALUE(detail, '$.by') FROM audit_events WHERE event = 'sessions_ended' ORDER BY id"
        )
        (user_id, by), everybody = cursor.fetchall()
    assert (user_id is not None, by) == (True, "operator")
    assert everybody == (None, "operator")


@pytest.mark.usefixtures("auth")
@pytest.mark.parametrize("command", ["end-sessions", "delete-account", "give-role", "take-role", "reset-second-factor"])
@pytest.mark.parametrize("name", ["nobody", "", "\ud800", "' OR 1=1 -- "])
async def test_nothing_is_done_to_a_name_that_nobody_has(auth_settings: AuthSettings, command: str, name: str) -> None:
    with pytest.raises(NoSuchAccount):
        await run(auth_settings, command, name=name)


async def test_an_account_is_deleted_as_its_owner_could(
    auth: httpx.AsyncClient, auth_settings: AuthSettings, mysql: Any
) -> None:
    ada, grace = [bearer(await sign_up(auth, name)) for name in ("Ada", "Grace")]
    user_id = (await auth.get("/auth/me", headers=ada)).json()["user_id"]
    assert f"account {user_id}," in await run(auth_settings, "delete-account", name="ada")
    assert_problem(await auth.get("/auth/me", headers=ada), 401)
    assert (await auth.get("/auth/me", headers=grace)).status_code == 200
    credentials = {"username": "Ada", "password": PASSWORD}
    assert_problem(await auth.post("/auth/login", json=credentials), 401, "invalid-credentials")
    assert_problem(await auth.post("/auth/register", json=credentials), 409, "username-taken")
    with mysql.cursor() as cursor:
        cursor.execute("SELECT user_id, JSON_VALUE(detail, '$.by') FROM audit_events WHERE event = 'account_deleted'")
        assert cursor.fetchall() == ((user_id, "operator"),)
    with pytest.raises(NoSuchAccount):
        await run(auth_settings, "delete-account", name="Ada")


async def test_an_erased_player_is_nowhere_within_a_second(
    leaderboard: httpx.AsyncClient, leaderboard_settings: LeaderboardSettings, accounts: Accounts, mysql: Any
) -> None:
    for user_id, score in ((1, 5), (2, 7)):
        await leaderboard.post("/api/leaderboard/submit", json={"score": score}, headers=accounts.new(user_id=user_id))
    await erase(leaderboard_settings, 2)
    await erase(leaderboard_settings, 2)

    async def gone() -> bool:
        page = (await leaderboard.get("/api/leaderboard/top")).json()
        return [player["user_id"] for player in page["top"]] == [1]

    await eventually(gone)
    assert_problem(await leaderboard.get("/api/leaderboard/rank/2"), 404)
    with mysql.cursor() as cursor:
        for table in ("game_sessions", "players"):
            cursor.execute(f"SELECT COUNT(*) FROM {table} WHERE user_id = 2")
            assert cursor.fetchone() == (0,)


async def test_the_commands_find_the_system_that_runs_here(
    stack: Stack, secrets: dict[str, str], tmp_path: Path, capfd: Any
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
        token = bearer(await sign_up(client, "operated"))
        user_id = (await client.get("/auth/me", headers=token)).json()["user_id"]
        operated = partial(maintain, "operate", stack.folder, env_file, service="auth")
        assert operated(arguments=["give-role", "operated"]) == 0
        assert operated(arguments=["reset-second-factor", "operated"]) == 1
        assert operated(arguments=["end-sessions", "operated"]) == 0
        assert_problem(await client.get("/auth/me", headers=token), 401)
    assert operated(arguments=["end-sessions", "nobody"]) == 1
    assert maintain("operate.erase", stack.folder, env_file, arguments=[str(user_id)]) == 0
    said = capfd.readouterr()
    assert said.out.splitlines() == [
        "operated is an admin. It counts in sessions with a second factor: POST /auth/me/second-factor",
        "Sessions of operated that have ended: 1",
        f"Nothing is kept of player {user_id} any more",
    ]
    assert said.err == "This user has no second factor.\nnobody is called nobody\n"


def test_make_admin_asks_the_auth_service_wherever_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make admin` runs, and with which command it goes into the containers, where only they run."""
    make = ["make", "--dry-run", "--no-print-directory", "admin"]

    def asked(*arguments: str) -> str:
        return subprocess.run([*make, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]

    assert asked("NAME=Ada").endswith("-m services.local operate give-role 'Ada'")
    assert asked("NAME=Ada Lovelace", "RESET=1").endswith("-m services.local operate reset-second-factor 'Ada Lovelace'")
    nobody = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (nobody.returncode, "NAME=" in nobody.stderr) == (2, True)

    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho a-container\n')
    docker.chmod(0o755)
    for name in ("MYSQL_HOST", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert maintain("operate", tmp_path, tmp_path / ".env", service="auth", arguments=["give-role", "Ada"]) == 0
    assert (tmp_path / "asked").read_text().splitlines() == [
        "compose ps --quiet leaderboard",
        "compose exec -T auth python -m services.auth.operate give-role Ada",
    ]
