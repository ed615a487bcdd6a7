"""`make run` and `make dev`: the whole system in the foreground until Ctrl-C."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from services.local import prerequisites
from services.local.errors import LocalError
from services.local.gateway import read_gateway_settings
from services.local.ports import EVERYWHERE, LOOPBACK, require_free
from services.local.secrets import SECRETS, ensure_env_file
from services.local.stack import PLACES, Stack
from services.local.state import Lock
from services.local.terminal import LogFollower, Progress, ignore_stop_signals, say, stop_signals

DEFAULT_PORT = 8080
DEFAULT_REDIS_MEMORY = "256mb"
WATCH_SECONDS = 0.2
# How a setting is written that is off (pydantic reads them so).
_OFF = frozenset({"0", "f", "false", "n", "no", "off"})


def run(folder: Path, env_file: Path, *, reload: bool) -> None:
    """Start everything, say where it is, and stop all of it on Ctrl-C, SIGTERM or SIGHUP.

    Raises LocalError when it cannot start, or when a process dies.
    """
    progress = Progress()
    with stop_signals():
        try:
            _run(folder, env_file, progress, reload=reload)
        except KeyboardInterrupt:
            pass
        finally:
            progress.done()


def _run(folder: Path, env_file: Path, progress: Progress, *, reload: bool) -> None:
    command = "make dev" if reload else "make run"
    started_by = os.getppid()
    # First what costs nothing: a second start must not install or wait before it is refused.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    Lock(folder).probe()
    settings = {**ensure_env_file(env_file), **os.environ}  # as with compose, the environment goes before the file
    address = settings.get("BIND_ADDRESS") or LOOPBACK
    port = _port(settings)
    around = read_gateway_settings(settings)
    require_free(port, address, command)
    prerequisites.require(prerequisites.TO_RUN, progress.step)
    stack = Stack(
        folder,
        secrets={name.upper(): settings[name.upper()] for name in SECRETS},
        address=address,
        port=port,
        redis_memory=_redis_memory(settings),
        environment=_service_settings(settings, reload=reload),
        around=around,
        reload=reload,
        report=progress.step,
    )
    follower = LogFollower({service.name: service.log for service in stack.services}) if reload else None
    try:
        stack.start()
        progress.done()
        host = "localhost" if address in (LOOPBACK, "::1", *EVERYWHERE) else address
        say(f"The leaderboard is at http://{host}:{port} (Ctrl-C stops it; logs are in {_shown(stack.logs)})")
        if settings.get("STAFF_SECOND_FACTOR", "").lower() in _OFF:
            say("STAFF_SECOND_FACTOR is off: admins need a password alone. That is for trying things out")
        while not _abandoned(started_by):
            stack.require_running()
            if follower is not None:
                follower.copy()
            time.sleep(WATCH_SECONDS)
    finally:
        ignore_stop_signals()
        progress.step("Stopping")
        stack.stop()
        if follower is not None:
            follower.copy()
            follower.close()


def _abandoned(started_by: int) -> bool:
    """Whether the make that started us was killed, and nobody is left whose Ctrl-C would reach us."""
    return "MAKELEVEL" in os.environ and os.getppid() != started_by


def _port(settings: Mapping[str, str]) -> int:
    text = settings.get("PORT") or str(DEFAULT_PORT)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise LocalError(f"PORT must be a number from 1 to 65535, not {text!r}")
    return int(text)


def _redis_memory(settings: Mapping[str, str]) -> str:
    """What Redis may use, as its own configuration writes it."""
    text = settings.get("REDIS_MEMORY") or DEFAULT_REDIS_MEMORY
    if not re.fullmatch(r"[1-9][0-9]{0,11}([kmg]b?)?", text, re.IGNORECASE | re.ASCII):
        raise LocalError(f"REDIS_MEMORY must be a size such as 256mb or 2gb, not {text!r}")
    return text


def _service_settings(settings: Mapping[str, str], *, reload: bool) -> dict[str, str]:
    """What the settings say beside secrets and places, with logs for people while they develop."""
    chosen = {name: value for name, value in settings.items() if name.lower() not in SECRETS and name not in PLACES}
    if reload:
        chosen.setdefault("LOG_FORMAT", "console")
    return chosen


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
