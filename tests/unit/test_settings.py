"""Settings: nothing starts with a secret missing, and no refusal shows one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from services.auth.app import create_app as create_auth
from services.auth.settings import AuthSettings
from services.common.settings import InvalidSettings, load_settings
from services.leaderboard.app import create_app as create_leaderboard
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT

KEY = "k1:Q2xvdWRzIG1vdmUgb3ZlciB0aGUgaGlsbHMsIDEyMzQ1Ng"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRETS_DIR", *(field.upper() for field in AuthSettings.model_fields | LeaderboardSettings.model_fields)):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("settings", [AuthSettings, LeaderboardSettings])
def test_missing_secrets_are_named_in_one_line(settings: type[AuthSettings] | type[LeaderboardSettings]) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(settings)
    message = str(refused.value)
    assert "JWT_KEYS" in message
    assert "MYSQL_PASSWORD" in message
    assert "\n" not in message


def test_a_secret_can_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "jwt_keys").write_text(KEY + "\n")
    (tmp_path / "encryption_keys").write_text(KEY + "\n")
    (tmp_path / "auth_mysql_password").write_text("a long password\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    settings = load_settings(AuthSettings)
    assert settings.jwt_keys.get_secret_value() == KEY
    assert settings.auth_mysql_password.get_secret_value() == "a long password"


def test_a_bad_value_is_named_but_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_KEYS", KEY)
    monkeypatch.setenv("AUTH_MYSQL_PASSWORD", "short")
    monkeypatch.setenv("LISTEN_PORT", "99999")
    with pytest.raises(InvalidSettings) as refused:
        load_settings(AuthSettings)
    assert "AUTH_MYSQL_PASSWORD" in str(refused.value)
    assert "LISTEN_PORT" in str(refused.value)
    assert "short" not in str(refused.value).replace("shorter", "")
    assert "99999" not in str(refused.value)


REPEATED = f"{KEY},k2:{KEY.partition(':')[2]}"


@pytest.mark.parametrize(
    "keys",
    ["", "k1:c2hvcnQ", "k1:" + "A" * 43, "k1:Y2hhbmdlLW1lLWNoYW5nZS1tZS1jaGFuZ2UtbWUtcGxlYXNl", REPEATED, f"{KEY},{KEY}"],
)
def test_neither_service_starts_with_keys_that_must_not_be_used(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("JWT_KEYS", keys)
    monkeypatch.setenv("ENCRYPTION_KEYS", KEY)
    monkeypatch.setenv("AUTH_MYSQL_PASSWORD", "a long password")
    monkeypatch.setenv("LEADERBOARD_MYSQL_PASSWORD", "a long password")
    for create in (create_auth, create_leaderboard):
        with pytest.raises(InvalidSettings, match="JWT_KEYS") as refused:
            create()
        assert KEY.partition(":")[2] not in str(refused.value)


@pytest.mark.parametrize("create", [create_auth, create_leaderboard])
def test_neither_service_starts_without_keys_to_encrypt_with(
    monkeypatch: pytest.MonkeyPatch, create: Callable[[], FastAPI]
) -> None:
    monkeypatch.setenv("JWT_KEYS", KEY)
    monkeypatch.setenv("AUTH_MYSQL_PASSWORD", "a long password")
    monkeypatch.setenv("LEADERBOARD_MYSQL_PASSWORD", "a long password")
    with pytest.raises(InvalidSettings, match="ENCRYPTION_KEYS: Field required"):
        create()
    monkeypatch.setenv("ENCRYPTION_KEYS", "k1:c2hvcnQ")
    with pytest.raises(InvalidSettings, match="cannot start: ENCRYPTION_KEYS: key k1 has 5 bytes") as refused:
        create()
    assert "c2hvcnQ" not in str(refused.value)


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "10.0.0.0/8,", "studio.example", "10.0.0.0/40"])
def test_networks_of_webhooks_are_networks(monkeypatch: pytest.MonkeyPatch, networks: str) -> None:
    for name in ("JWT_KEYS", "ENCRYPTION_KEYS"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("LEADERBOARD_MYSQL_PASSWORD", "a long password")
    monkeypatch.setenv("WEBHOOK_NETWORKS", networks)
    with pytest.raises(InvalidSettings, match="WEBHOOK_NETWORKS"):
        create_leaderboard()


@pytest.mark.parametrize("module", ["services.auth", "services.leaderboard"])
def test_a_process_that_must_not_start_says_so_in_one_line_and_ends(module: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "JWT_KEYS": REPEATED,
        "ENCRYPTION_KEYS": KEY,
        "AUTH_MYSQL_PASSWORD": "a long password",
        "LEADERBOARD_MYSQL_PASSWORD": "a long password",
    }
    ended = subprocess.run(
        [sys.executable, "-m", module], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert ended.stderr == "cannot start: JWT_KEYS: key k2 repeats another key\n"
