"""The README says what is true: its table of settings is the settings."""

import re

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from migrations.settings import MigrationSettings
from services.auth.settings import AuthSettings
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.gateway import GatewaySettings
from services.local.secrets import SECRETS

README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = {
    name: (default.strip("`"), owners)
    for name, default, owners in re.findall(r"^\| `([A-Z0-9_]+)` \| (.+?) \| (.+?) \|", README, re.MULTILINE)
}
SETTINGS: dict[str, type[BaseModel]] = {
    "gateway": GatewaySettings,
    "auth": AuthSettings,
    "leaderboard": LeaderboardSettings,
    "migration": MigrationSettings,
}


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    named = {name.upper() for settings in SETTINGS.values() for name in settings.model_fields}
    assert set(ROWS) == named


@pytest.mark.parametrize("name", ROWS)
def test_a_setting_has_the_default_and_the_owners_that_the_table_says(name: str) -> None:
    default, owners = ROWS[name]
    having = [owner for owner, settings in SETTINGS.items() if name.lower() in settings.model_fields]
    field = SETTINGS[having[0]].model_fields[name.lower()]
    if owners in {"both", "all"}:
        assert set(having) >= {"auth", "leaderboard"}
    else:
        assert owners.split(", ") == having
    if field.default is PydanticUndefined and field.default_factory is None:
        assert default == "secret"
        assert field.annotation is SecretStr
    elif len({SETTINGS[owner].model_fields[name.lower()].default for owner in having}) > 1:
        assert default == ", ".join(f"{owner} {SETTINGS[owner].model_fields[name.lower()].default}" for owner in having)
    elif field.default is None:
        assert default == "none"
    elif field.default_factory is not None:
        assert default == "one a core"
    else:
        assert default.lower() == str(field.default).lower()


def test_the_example_of_an_env_file_names_every_secret_and_holds_none() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == {f"{name.upper()}=" for name in SECRETS}
