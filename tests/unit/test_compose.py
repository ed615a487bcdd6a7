"""compose.yaml: every setting of a service can be set there, and nothing is published beyond this machine by itself."""

from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from services.auth.settings import AuthSettings
from services.common.settings import ServiceSettings
from services.leaderboard.settings import LeaderboardSettings
from services.local import ROOT
from services.local.gateway import GatewaySettings

# What compose.yaml itself decides: where things are, which accounts there are, and that code does not change.
DECIDED = {"redis_user", "mysql_port", "mysql_database", "auth_mysql_user", "leaderboard_mysql_user", "redis_cluster", "reload"}


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("service", "settings"), [("auth", AuthSettings), ("leaderboard", LeaderboardSettings)])
def test_every_setting_can_be_set(compose: Any, service: str, settings: type[ServiceSettings]) -> None:
    told = compose["services"][service]["environment"]
    known = {
        name.upper() for name, field in settings.model_fields.items() if SecretStr not in (field.annotation, *_parts(field))
    }
    assert known - told.keys() == {name.upper() for name in DECIDED} & known
    assert told.keys() - known == {"SECRETS_DIR"}


def test_what_is_around_the_gateway_is_looked_at_before_it_starts_and_told_to_it(compose: Any) -> None:
    checked, gateway = compose["services"]["gateway-settings"], compose["services"]["gateway"]
    assert checked["environment"].keys() == {name.upper() for name in GatewaySettings.model_fields}
    assert checked["environment"].items() <= gateway["environment"].items()
    assert gateway["depends_on"]["gateway-settings"] == {"condition": "service_completed_successfully"}
    assert gateway["command"] == [f"--configFile={checked['command'][-1]}"]
    assert gateway["command"][0] in gateway["healthcheck"]["test"]


def _parts(field: Any) -> tuple[Any, ...]:
    return getattr(field.annotation, "__args__", ())


def test_redis_is_given_the_memory_that_is_asked_for_and_its_container_room_for_more(compose: Any) -> None:
    redis = compose["services"]["redis"]
    assert "\nmaxmemory ${REDIS_MEMORY:-256mb}\n" in redis["command"][-1]
    assert redis["mem_limit"] == "${REDIS_CONTAINER_MEMORY:-512m}"


def test_the_gateway_is_published_to_this_machine_alone_and_nothing_else_is(compose: Any) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"gateway": ["${BIND_ADDRESS:-127.0.0.1}:${PORT:-8080}:8080"]}
