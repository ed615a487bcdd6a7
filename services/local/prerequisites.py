"""What must be on the machine, and how it comes there: by apt where we may, by one clear line elsewhere."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.local.errors import MissingPrerequisite
from services.local.programs import find_mysql, find_program, major_version

# Debian 12's; TypeScript's compiler needs no newer one.
OLDEST_NODE = 18


@dataclass(frozen=True)
class Prerequisite:
    """A program that does not come from PyPI, and the packages that bring it."""

    name: str
    is_there: Callable[[], bool]
    apt: tuple[str, ...]
    dnf: str
    brew: str


TO_RUN = (
    Prerequisite(
        "a MySQL-compatible server",
        lambda: find_mysql() is not None,
        # The programs without the service and without data of its own, which `mariadb-server` adds to them.
        ("mariadb-server-core", "mariadb-client-core"),
        "mariadb-server",
        "mariadb",
    ),
    Prerequisite(
        "Redis",
        lambda: find_program("redis-server", "valkey-server") is not None,
        ("redis-server",),
        "redis",
        "redis",
    ),
)

TO_LINT = (
    Prerequisite(
        f"Node.js {OLDEST_NODE} or newer",
        lambda: major_version(find_program("node", "nodejs")) >= OLDEST_NODE,
        ("nodejs",),
        "nodejs",
        "node",
    ),
    Prerequisite("npm", lambda: find_program("npm") is not None, ("npm",), "npm", "node"),
)

TO_TEST = (
    *TO_RUN,
    *TO_LINT,
    # Of Debian's packages the one without windows: a page of the tests costs it a third of the processor's time.
    Prerequisite("Chromium", lambda: find_browser() is not None, ("chromium-headless-shell",), "chromium", "--cask chromium"),
    # It compiles and plays the C# client. These packages are 7 MB to fetch; the whole of Mono would be 65.
    Prerequisite(
        "Mono",
        lambda: find_mono() is not None,
        ("mono-mcs", "mono-runtime", "libmono-system-net-http4.0-cil"),
        "mono-devel",
        "mono",
    ),
)

TO_BENCH = (*TO_RUN, Prerequisite("wrk", lambda: find_program("wrk") is not None, ("wrk",), "wrk", "wrk"))

OF = {"bench": TO_BENCH, "run": TO_RUN, "lint": TO_LINT, "test": TO_TEST}


def find_mono() -> str | None:
    """What runs C# programs, if a compiler and the library for HTTP are there too. Debian has each in a package of its own."""
    runtime = find_program("mono")
    if runtime is None or find_program("mcs") is None:
        return None
    libraries = Path(runtime).resolve().parents[1] / "lib" / "mono" / "4.5"
    return runtime if (libraries / "System.Net.Http.dll").exists() else None


def find_browser() -> str | None:
    """Chromium, or Chrome, which is as good."""
    return find_program(
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    )


def require(prerequisites: tuple[Prerequisite, ...], report: Callable[[str], None]) -> None:
    """Install what is missing if we may, or raise MissingPrerequisite with the line that does."""
    missing = [one for one in prerequisites if not one.is_there()]
    if not missing:
        return
    packages = [package for one in missing for package in one.apt]
    command = _apt_command() if shutil.which("apt-get") else None
    if command is None:
        raise MissingPrerequisite(_advice(missing, packages))
    report(f"Installing {' '.join(packages)}")
    done = subprocess.run(  # noqa: S603  # our script, our packages
        [*command, "sh", "-c", APT_SCRIPT, "install", *packages],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    find_mysql.cache_clear()
    still_missing = [one for one in missing if not one.is_there()]
    if still_missing:
        last_lines = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-10:])
        raise MissingPrerequisite(f"apt-get did not install {_names(still_missing)}. Its last lines:\n{last_lines}")


# Run as root, with the packages as its arguments.
#
# Debian starts a server's service when its package is installed, and again at each boot. Ours are private ones on free
# ports: nobody asked for a Redis on 6379. policy-rc.d is Debian's way to say so for the time of an installation (one that
# is there already stays as it is), `update-rc.d disable` for the boots after it, with systemd or without. A package that
# was there before is not touched.
#
# The lists are fetched only if the packages cannot be installed without: empty in a fresh container, stale elsewhere.
APT_SCRIPT = """
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
fi
# An update of the system under way has the lock for a while.
get='apt-get --yes --quiet -o DPkg::Lock::Timeout=300'
$get install --no-install-recommends "$@" || { $get update && $get install --no-install-recommends "$@"; } || exit 1
for package in "$@"; do
    case $package in redis-server) update-rc.d redis-server disable ;; esac
done
"""


def _apt_command() -> list[str] | None:
    """What to put before a command so that it runs as root; None if that is not ours to do."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    may = subprocess.run(["sudo", "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False)  # noqa: S607
    return ["sudo", "-n"] if may.returncode == 0 else None


def _advice(missing: list[Prerequisite], packages: list[str]) -> str:
    if shutil.which("apt-get"):
        how = f"sudo apt-get install {' '.join(packages)}"
    elif sys.platform == "darwin" or (shutil.which("brew") and not shutil.which("dnf")):
        how = f"brew install {' '.join(dict.fromkeys(one.brew for one in missing))}"
    elif shutil.which("dnf"):
        how = f"sudo dnf install {' '.join(dict.fromkeys(one.dnf for one in missing))}"
    else:
        how = "the packages named like them in your system's package manager"
    return f"Missing: {_names(missing)}. Install with: {how}"


def _names(prerequisites: list[Prerequisite]) -> str:
    return ", ".join(one.name for one in prerequisites)
