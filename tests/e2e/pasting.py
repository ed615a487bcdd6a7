"""Examples of the documents, pasted into a shell."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from services.local import ROOT
from services.local.stack import Stack
from tests.snippets import pages, take

# Around a script: each answer of curl is a line, and what is made and asked is the stack's. The packages are there: they run
# this test. A file that make is told of is in the shell's own folder.
_SHELL = r"""
curl() { command curl -s -w '\n' "$@"; }
make() {
  local told=() each
  for each; do case "$each" in FILE=*) told+=("FILE=$PWD/${each#FILE=}") ;; *) told+=("$each") ;; esac; done
  command make --silent --directory "$ROOT" --old-file .venv/.installed LOCAL="$LOCAL" "${told[@]}"
}
"""
# What a script calls .venv/bin/python.
_PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m services.local" ]; then shift 2; exec $LOCAL "$@"; fi
exec {python} "$@"
"""


def blocks(document: str, language: str) -> list[str]:
    """What a page of README or docs, by its text, has in a language to be pasted."""
    [page] = [page for page in pages() if (ROOT / page).read_text(encoding="utf-8") == document]
    return take(page, language)


def paste(script: str, stack: Stack, secrets: Mapping[str, str], folder: Path) -> list[str]:
    """The lines that a shell prints in a folder, each answer of curl being one. What is made and asked is the stack's."""
    env_file = folder / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    return paste_locally(script.replace("http://localhost:8080", stack.gateway_url), folder, stack.folder)


def paste_locally(script: str, folder: Path, data: Path) -> list[str]:
    """The same, of a script that asks no gateway: with the folder's own `.env`, and the system whose data are in ``data``."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(_PYTHON.format(python=sys.executable))
    python.chmod(0o700)
    known = {name: value for name, value in os.environ.items() if not name.startswith(("MYSQL_", "MAKE", "REDIS_"))}
    local = f"{sys.executable} -m services.local --folder {data} --env-file {folder / '.env'}"
    environment = {**known, "ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "LOCAL": local}
    command = ["bash", "-euo", "pipefail", "-c", _SHELL + script]
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=180)
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if line]
