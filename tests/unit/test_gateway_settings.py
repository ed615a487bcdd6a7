"""What an operator says of what is around the gateway, and how it is refused."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.common.settings import InvalidSettings
from services.local import ROOT
from services.local.gateway import read_gateway_settings

STATIC = ROOT / "gateway" / "traefik.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "file://",
        "https://game.example",
        "http://localhost:5173",
        "http://[::1]:5173",
        "https://my_game.example:8443",
        "capacitor://localhost",
        "chrome-extension://abcdefgh",
        "https://xn--bcher-kva.example",
    ],
)
def test_an_origin_is_taken_as_browsers_write_it(text: str) -> None:
    assert read_gateway_settings({"ALLOWED_ORIGINS": text}).environment()["ALLOWED_ORIGINS"] == text


def test_several_are_a_list_and_blanks_between_them_mean_nothing() -> None:
    settings = read_gateway_settings({"ALLOWED_ORIGINS": "https://one.example , null", "TRUSTED_PROXIES": "10.0.0.5, fd00::/8"})
    assert settings.environment()["ALLOWED_ORIGINS"] == "https://one.example,null"
    assert settings.believed("127.0.0.1") == "127.0.0.1,10.0.0.5,fd00::/8"


@pytest.mark.parametrize(
    "text",
    [
        "game.example",
        "https://game.example/",
        "https://game.example/play",
        "https://*.game.example",
        "https://game.example:*",
        "https://Game.example",
        "HTTPS://game.example",
        "https://game.example:443",
        "http://game.example:80",
        "https://user@game.example",
        "https://bücher.example",
        "https://game.example'",
        "https://one.example https://two.example",
        "https://one.example,",
        " ",
        "*,https://game.example",
        "Null",
        "https://",
    ],
)
def test_what_no_browser_would_write_is_refused_in_a_line_that_names_it(text: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        read_gateway_settings({"ALLOWED_ORIGINS": text})
    said = str(refusal.value)
    assert said.startswith("cannot start: ALLOWED_ORIGINS: ")
    assert "is no origin. Browsers write one as https://game.example" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TRUSTED_PROXIES": "proxy.example"}, "TRUSTED_PROXIES: 'proxy.example' is no address and no network"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TRUSTED_PROXIES: '10.0.0.1/8' is no address and no network"),
        ({"TRUSTED_PROXIES": "10.0.0.1,"}, "TRUSTED_PROXIES: '' is no address and no network"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES: 0.0.0.0/0 is everybody"),
        ({"TRUSTED_PROXIES": "::/0", "PROXIES": "1"}, "TRUSTED_PROXIES: ::/0 is everybody"),
        ({"PROXIES": "1"}, "PROXIES: where there are proxies in front, TRUSTED_PROXIES must name their addresses"),
        ({"TRUSTED_PROXIES": "10.0.0.1", "PROXIES": "0"}, "PROXIES: TRUSTED_PROXIES names proxies in front: say how many"),
        ({"PROXIES": "-1"}, "PROXIES: Input should be greater than or equal to 0"),
        ({"PROXIES": "one"}, "PROXIES: Input should be a valid integer"),
    ],
)
def test_proxies_that_would_hide_who_asks_are_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        read_gateway_settings(environment)
    assert str(refusal.value).startswith(f"cannot start: {said}")
    assert ";" not in str(refusal.value), "one fault is told once"


@pytest.mark.parametrize(
    ("environment", "depth"),
    [
        ({}, "0"),
        ({"PROXIES": "", "TRUSTED_PROXIES": ""}, "0"),
        ({"PROXIES": "0"}, "0"),
        ({"TRUSTED_PROXIES": "10.0.0.1"}, "1"),
        ({"TRUSTED_PROXIES": "10.0.0.1", "PROXIES": "2"}, "2"),
    ],
)
def test_one_proxy_need_not_be_counted(environment: dict[str, str], depth: str) -> None:
    assert read_gateway_settings(environment).environment()["PROXIES"] == depth


def write(target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services.local.gateway", str(STATIC), str(target)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_static_configuration_is_written_with_the_proxies_that_are_trusted(tmp_path: Path) -> None:
    target = tmp_path / "traefik.yaml"
    assert write(target, TRUSTED_PROXIES="10.0.0.5, 10.1.0.0/24").returncode == 0
    written = yaml.safe_load(target.read_text(encoding="utf-8"))
    assert written["entryPoints"]["web"].pop("forwardedHeaders") == {"trustedIPs": ["10.0.0.5", "10.1.0.0/24"]}
    tracked = yaml.safe_load(STATIC.read_text(encoding="utf-8"))
    assert tracked["entryPoints"]["web"].pop("forwardedHeaders") == {"trustedIPs": []}
    assert written == tracked


def test_none_is_written_where_the_settings_are_not_valid(tmp_path: Path) -> None:
    refused = write(tmp_path / "traefik.yaml", ALLOWED_ORIGINS="https://game.example/")
    assert refused.returncode == 1
    assert refused.stderr.startswith("cannot start: ALLOWED_ORIGINS: 'https://game.example/' is no origin")
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "traefik.yaml").exists()


def test_live_streams_are_neither_counted_among_requests_under_way_nor_compressed_nor_held_back() -> None:
    dynamic = [yaml.safe_load((STATIC.parent / "dynamic" / f"{name}.yaml").read_text()) for name in ("routers", "middlewares")]
    routers, middlewares = dynamic[0]["http"]["routers"], dynamic[1]["http"]["middlewares"]
    live = routers["leaderboard-live"]
    assert "parentRefs" not in live
    kinds = {kind for name in live["middlewares"] for kind in middlewares[name]}
    assert kinds.isdisjoint({"inFlightReq", "compress", "buffering"})
    assert live["priority"] > max(router.get("priority", 0) for router in routers.values() if "parentRefs" in router)
