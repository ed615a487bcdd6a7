"""The processes of our own and the web servers: migrations, the two services, the gateway before them, and the page."""

import http.client
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from services.local import ROOT
from services.local.errors import LocalError, MissingPrerequisite
from services.local.gateway import GatewaySettings
from services.local.ports import EVERYWHERE, LOOPBACK, free_port
from services.local.processes import Process, without_secrets
from services.local.programs import find_from_environment

PUBLISHED_ENTRY_POINT = "web"


class Migrations(Process):
    """The one-shot that makes accounts and tables before the services start."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__("migrations", log)
        self._environment = environment

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "migrations"]

    def environment(self) -> Mapping[str, str]:
        return self._environment


class Service(Process):
    """One of our services: ``python -m services.<name>``, configured by its environment alone."""

    def __init__(self, name: str, *, module: str, ready_path: str, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, log)
        self.port = free_port()
        self._module = module
        self._ready_path = ready_path
        self._environment = environment
        if environment.get("RELOAD") == "1":
            # The reloader has a child, which it ends on SIGTERM and would leave behind on SIGKILL.
            self.death_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        """Where it answers, past the gateway."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", self._module]

    def environment(self) -> Mapping[str, str]:
        return {"FORWARDED_ALLOW_IPS": LOOPBACK, **self._environment, "LISTEN_HOST": LOOPBACK, "LISTEN_PORT": str(self.port)}

    def is_ready(self) -> bool:
        """Whether its own readiness check says so."""
        return answers(self.url + self._ready_path)


class Gateway(Process):
    """Traefik with the project's own configuration, its addresses and folders changed to this machine's."""

    start_seconds = 30.0

    def __init__(
        self,
        folder: Path,
        *,
        address: str,
        port: int,
        backends: Mapping[str, str],
        settings: GatewaySettings | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__("gateway", log or folder / "gateway.log")
        self.folder = folder
        self.address = address
        self.port = port
        self._backends = backends
        self._settings = settings or GatewaySettings()

    @property
    def url(self) -> str:
        """Where the whole system answers."""
        host = self.address if self.address not in EVERYWHERE else LOOPBACK
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def prepare(self) -> None:
        """Write the static configuration for this machine."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = (ROOT / "gateway" / "traefik.yaml").read_text(encoding="utf-8")
        configuration: dict[str, Any] = yaml.safe_load(self._settings.static(text))
        entry_points = configuration.get("entryPoints", {})
        if PUBLISHED_ENTRY_POINT not in entry_points:
            raise LocalError(f"gateway/traefik.yaml has no entry point named {PUBLISHED_ENTRY_POINT}")
        for name, entry_point in entry_points.items():
            published = name == PUBLISHED_ENTRY_POINT
            host = f"[{self.address}]" if ":" in self.address else self.address
            # The others are for the gateway's own health and metrics: in a container they are out of reach anyway.
            entry_point["address"] = f"{host}:{self.port}" if published else f"{LOOPBACK}:{free_port()}"
        configuration["providers"]["file"]["directory"] = str(ROOT / "gateway" / "dynamic")
        self.configuration_file.write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")

    def command(self) -> Sequence[str]:
        return [_from_environment("traefik"), f"--configFile={self.configuration_file}"]

    def environment(self) -> Mapping[str, str]:
        return {**without_secrets(os.environ), **self._settings.environment(), **self._backends}

    def is_ready(self) -> bool:
        """Whether it routes: the page is behind its last rule, so that comes once every file was read."""
        return answers(self.url + "/")

    @property
    def configuration_file(self) -> Path:
        """The static configuration that it reads: this machine's, written before each start."""
        return self.folder / "traefik.yaml"


class Page(Process):
    """Caddy, which serves the files in ``frontend/``."""

    start_seconds = 30.0

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        super().__init__("page", log or folder / "page.log")
        self.folder = folder
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where the files are, past the gateway."""
        return f"http://{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        return [_from_environment("caddy"), "run", "--config", str(ROOT / "frontend" / "Caddyfile"), "--adapter", "caddyfile"]

    def environment(self) -> Mapping[str, str]:
        return {
            **without_secrets(os.environ),
            "FRONTEND_ADDRESS": self.url,
            "FRONTEND_BIND": LOOPBACK,
            "FRONTEND_ROOT": str(ROOT / "frontend"),
            # What it would otherwise keep in the home folder.
            "XDG_CONFIG_HOME": str(self.folder / "caddy"),
            "XDG_DATA_HOME": str(self.folder / "caddy"),
        }

    def is_ready(self) -> bool:
        """Whether it serves the page."""
        return answers(self.url + "/")


def answers(url: str, status: int = 200) -> bool:
    """Whether GET ``url`` is answered with ``status`` now."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=5)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _from_environment(name: str) -> str:
    found = find_from_environment(name)
    if found is None:
        raise MissingPrerequisite(f"{name} is not installed: it comes with `make run`, from the same lock file as the rest")
    return found
