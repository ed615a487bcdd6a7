"""Examples of the documents, pasted into a shell."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from services.local import ROOT
from services.local.stack import Stack


def blocks(document: str, language: str) -> list[str]:
    """What a document has in a language to be pasted."""
    return re.findall(rf"```{language}\n(.*?)```", document, re.DOTALL)


def paste(script: str, stack: Stack, secrets: Mapping[str, str], folder: Path) -> list[str]:
    """The lines that a shell prints in a folder, each answer of curl being one. What is made and asked is the stack's."""
    env_file = folder / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    local = f"{sys.executable} -m services.local --folder {stack.folder} --env-file {env_file}"
    # The packages are there: they run this test.
    make = f'make --silent --directory {ROOT} --old-file .venv/.installed LOCAL="{local}"'
    script = (
        script.replace("http://localhost:8080", stack.gateway_url)
        .replace("curl ", "curl -s -w '\\n' ")
        .replace("make boards FILE=", f"{make} boards FILE={folder}/")
        .replace("make admin ", f"{make} admin ")
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MYSQL_", "MAKE", "REDIS_"))}
    command = ["bash", "-euo", "pipefail", "-c", script]
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=180)
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if line]
