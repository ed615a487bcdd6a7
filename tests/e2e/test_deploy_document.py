"""docs/deploy.md's proxy and the gateway's own certificate work as it says, before the stack's services."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.local import ROOT
from services.local.gateway import GatewaySettings
from services.local.ports import LOOPBACK, free_port
from services.local.processes import Process
from services.local.programs import find_from_environment
from services.local.stack import Stack
from services.local.web import Gateway
from tests.certificates import make_certificate
from tests.gateways import answers, gateway_before
from tests.snippets import take
from tests.system import PASSWORD, bearer

[CADDYFILE] = take("docs/deploy.md", "caddyfile")
[LOOK] = take("docs/deploy.md", "sh", having="strict-transport-security")
DYNAMIC, STATIC = map(yaml.safe_load, take("docs/deploy.md", "yaml"))
NAME = "localhost"
STAYS = "max-age=31536000; includeSubDomains"


def merged(one: Any, other: Any) -> Any:
    """A configuration with what another says beside it."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return other
    return {**one, **{name: merged(one.get(name), value) for name, value in other.items()}}


class Proxy(Process):
    """Caddy with the document's configuration, a port of its own, and a certificate that nobody had to issue."""

    def __init__(self, folder: Path, gateway_url: str) -> None:
        super().__init__("proxy", folder / "proxy.log")
        _, self.trusting = make_certificate(folder, NAME)
        self.certificate = folder / "certificate.pem"
        self.url = f"https://{NAME}:{free_port()}"
        site = CADDYFILE.replace("leaderboard.example", self.url).replace("127.0.0.1:8080", gateway_url.removeprefix("http://"))
        certificate = f"\ttls {self.certificate} {folder}/key.pem\n}}"
        own = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
        self._file = folder / "Caddyfile"
        self._file.write_text(own + site.rstrip().removesuffix("}") + certificate)

    def command(self) -> Sequence[str]:
        return [str(find_from_environment("caddy")), "run", "--config", str(self._file), "--adapter", "caddyfile"]

    def is_ready(self) -> bool:
        return answers(self.url, self.trusting)


@pytest.fixture(scope="module")
def proxy(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Before a gateway that is told of it."""
    folder = tmp_path_factory.mktemp("proxy")
    with gateway_before(stack, folder / "gateway", settings=GatewaySettings(trusted_proxies=LOOPBACK)) as gateway:
        proxy = Proxy(folder, gateway.url)
        proxy.start()
        yield proxy
        proxy.stop()


async def test_behind_the_proxy_all_is_as_the_document_says(proxy: Proxy) -> None:
    credentials = {"username": "Deployed", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=proxy.url, verify=proxy.trusting, headers={"Origin": proxy.url}) as client:
        assert (await client.get("/")).headers["strict-transport-security"] == STAYS
        assert (await client.get("/api/leaderboard/health/ready")).json() == {
            "status": "ok",
            "checks": {"mysql": "ok", "redis": "ok"},
        }
        assert (await client.post("/auth/register", json=credentials)).status_code == 201
        login = await client.post("/auth/login", json=credentials)
        assert login.headers["set-cookie"].startswith("__Secure-refresh_token=")
        own = bearer(login.json()["access_token"])
        [session] = (await client.get("/auth/sessions", headers=own)).json()["sessions"]
        assert session["address"] == LOOPBACK
        async with client.stream("GET", "/api/leaderboard/boards/main/live") as live:
            assert (await anext(live.aiter_lines())).startswith("retry: ")


def test_the_command_that_looks_at_it_prints_what_is_told(proxy: Proxy) -> None:
    environment = {**os.environ, "CURL_CA_BUNDLE": str(proxy.certificate)}
    script = LOOK.replace("https://leaderboard.example", proxy.url)
    printed = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == f"strict-transport-security: {STAYS}"


class CertifiedGateway(Gateway):
    """The gateway with the document's two changes of its files."""

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}"

    def prepare(self) -> None:
        super().prepare()
        _, self.trusting = make_certificate(self.folder, NAME)
        dynamic = self.folder / "dynamic"
        shutil.copytree(ROOT / "gateway" / "dynamic", dynamic)
        (self.folder / "certificate.pem").rename(dynamic / "fullchain.pem")
        (self.folder / "key.pem").rename(dynamic / "privkey.pem")
        tls = yaml.safe_dump(DYNAMIC).replace("/etc/traefik/dynamic", str(dynamic))
        (dynamic / "tls.yaml").write_text(tls)
        configuration = merged(yaml.safe_load(self.configuration_file.read_text(encoding="utf-8")), STATIC)
        configuration["providers"]["file"]["directory"] = str(dynamic)
        self.configuration_file.write_text(yaml.safe_dump(configuration), encoding="utf-8")

    def is_ready(self) -> bool:
        return answers(self.url + "/", self.trusting)


async def test_the_gateway_has_the_certificate_that_it_is_given(stack: Stack, tmp_path: Path) -> None:
    with gateway_before(stack, tmp_path, CertifiedGateway) as gateway:
        assert isinstance(gateway, CertifiedGateway)
        async with httpx.AsyncClient(verify=gateway.trusting) as client:
            assert (await client.get(gateway.url)).headers["strict-transport-security"] == STAYS
