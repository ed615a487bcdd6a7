"""The services' own tools, run against the system that runs here: `make boards`, `make import` and others."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from services.local import ROOT
from services.local.errors import LocalError
from services.local.processes import without_secrets
from services.local.secrets import CONSUMERS, ensure_env_file
from services.local.state import STATE_FILE, find_state


def maintain(
    tool: str,
    folder: Path,
    env_file: Path,
    *,
    service: str = "leaderboard",
    arguments: Sequence[str] = (),
    reads: Path | None = None,
) -> int:
    """Run the module `services.<service>.<tool>` against the system that the environment names, else that of `make run`,
    else that of `make up`; gives its exit status. ``folder`` is where `make run` keeps its state, ``reads`` a file that the
    module is given as its standard input, since a container has none of ours.

    Raises LocalError if nothing runs, or if there is no such file.
    """
    if reads is None:
        return _maintain(tool, folder, env_file, service, arguments, None)
    try:
        with reads.open("rb") as file:
            return _maintain(tool, folder, env_file, service, arguments, file)
    except OSError as error:
        raise LocalError(f"{reads} cannot be read: {error.strerror}") from None


def _maintain(tool: str, folder: Path, env_file: Path, service: str, arguments: Sequence[str], stdin: IO[bytes] | None) -> int:
    module = ["-m", f"services.{service}.{tool}", *arguments]
    environment = _named_by_environment(env_file, service) or _of_make_run(folder, env_file, service)
    if environment is not None:
        command = [sys.executable, *module]
        return subprocess.run(command, cwd=ROOT, env=environment, stdin=stdin, check=False).returncode  # noqa: S603
    docker = shutil.which("docker")
    if docker is not None and _runs_in_containers(docker):
        terminal = [] if stdin is None and sys.stderr.isatty() and sys.stdin.isatty() else ["-T"]
        command = [docker, "compose", "exec", *terminal, service, "python", *module]
        return subprocess.run(command, cwd=ROOT, stdin=stdin, check=False).returncode  # noqa: S603  # names of our own
    raise LocalError(
        "Nothing runs here: start it first with `make run` (in another terminal) or `make up`, "
        "or name its servers with MYSQL_HOST and REDIS_URL"
    )


def _named_by_environment(env_file: Path, service: str) -> dict[str, str] | None:
    if not os.environ.get("MYSQL_HOST") or not os.environ.get("REDIS_URL"):
        return None
    return {**_secrets(env_file, service), **os.environ}


def _of_make_run(folder: Path, env_file: Path, service: str) -> dict[str, str] | None:
    state = find_state(folder / STATE_FILE)
    if state is None:
        return None
    places = {
        "MYSQL_HOST": state.mysql_host,
        "MYSQL_PORT": str(state.mysql_port),
        "MYSQL_DATABASE": state.mysql_database,
        "REDIS_URL": state.redis_url,
    }
    return {**without_secrets(os.environ), **_secrets(env_file, service), **places}


def _secrets(env_file: Path, service: str) -> dict[str, str]:
    """What the service is told, and no more."""
    known = ensure_env_file(env_file) if env_file.exists() else {}
    return {name.upper(): known[name.upper()] for name in CONSUMERS[service] if name.upper() in known}


def _runs_in_containers(docker: str) -> bool:
    asked = [docker, "compose", "ps", "--quiet", "leaderboard"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode == 0 and bool(done.stdout.strip())
