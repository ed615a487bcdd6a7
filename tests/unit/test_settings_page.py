"""docs/settings.md says what the code says."""

import re

import yaml
from pydantic import SecretStr

from services.local import ROOT
from services.local.reference.settings import SETTINGS, owners
from services.local.run import DEFAULT_PORT, DEFAULT_REDIS_MEMORY
from services.local.secrets import SECRETS

TEXT = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (.+?) \|", TEXT, re.MULTILINE))
MIDDLEWARES = yaml.safe_load((ROOT / "gateway" / "dynamic" / "middlewares.yaml").read_text(encoding="utf-8"))["http"][
    "middlewares"
]
RUN = {"PORT", "BIND_ADDRESS", "REDIS_MEMORY", "REDIS_CONTAINER_MEMORY", "FRONT_PREFIX", "SECRETS_DIR"}
"""What is no setting of a process, and stands in the page by hand."""


def test_every_setting_has_one_row() -> None:
    names = [name.upper() for settings in SETTINGS.values() for name in settings.model_fields]
    assert set(ROWS) == {*names, *RUN}
    assert len(re.findall(r"^\| `[A-Z0-9_]+` \|", TEXT, re.MULTILINE)) == len(ROWS)


def test_secrets_and_they_alone_have_no_default() -> None:
    for name in set(ROWS) - RUN:
        field = SETTINGS[min(owners(name.lower()))].model_fields[name.lower()]
        assert (ROWS[name] == "secret") == (field.is_required() and field.annotation is SecretStr), name


def test_every_limit_of_the_gateway_is_in_the_table() -> None:
    kinds = {"rateLimit", "inFlightReq", "buffering"}
    limits = [name for name, middleware in MIDDLEWARES.items() if kinds & middleware.keys()]
    [table] = re.findall(r"<!-- table: limits -->\n(.*?)<!-- end -->", TEXT, re.DOTALL)
    assert table.count("| 429") + table.count("| 413") == len(limits)


def test_how_it_is_run_has_the_defaults_of_make_run_and_of_compose() -> None:
    compose = dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    told = {name: default.strip("`") for name, default in ROWS.items() if name in RUN - {"SECRETS_DIR"}}
    assert told == {name: compose[name] for name in told}
    assert (told["PORT"], told["REDIS_MEMORY"]) == (str(DEFAULT_PORT), DEFAULT_REDIS_MEMORY)


def test_the_example_of_an_env_file_names_every_secret_and_holds_none() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == {f"{name.upper()}=" for name in SECRETS}
