"""Clients that three generators make of both API documents, as the gateway serves them: each plays on the system that runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.local import ROOT
from services.local.programs import find_program
from tests.system import PASSWORD

GENERATORS = ROOT / "tests/contract/generators"
NODE_PROGRAMS = GENERATORS / "node_modules/.bin"
COMPILER = ROOT / "tests/frontend/node_modules/.bin/tsc"
PYTHON = Path(sys.executable)
DOCUMENTS = {"auth": "/auth/openapi.json", "leaderboard": "/api/leaderboard/openapi.json"}


def run(folder: Path, *command: str | Path) -> str:
    """What a program prints that has nothing to complain of."""
    # The generator for Python formats what it made with the ruff that it finds.
    environment = os.environ | {"PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout + ran.stderr
    assert "warn" not in ran.stdout.lower()
    return ran.stdout


@pytest.fixture(scope="module")
def python_clients(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program that uses the clients for Python."""
    folder = tmp_path_factory.mktemp("python")
    shutil.copy(GENERATORS / "openapi_python_client.py", folder)
    for name, path in DOCUMENTS.items():
        generate = (PYTHON.parent / "openapi-python-client", "generate", "--fail-on-warning", "--meta", "none")
        told = ("--config", GENERATORS / "openapi_python_client.yaml")
        run(folder, *generate, *told, "--url", gateway_url + path, "--output-path", f"{name}_client")
    return folder


@pytest.fixture(scope="module")
def typescript_clients(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs that use the clients for TypeScript, each checked and compiled."""
    folder = tmp_path_factory.mktemp("typescript")
    for source in (*GENERATORS.glob("*.ts"), GENERATORS / "tsconfig.json"):
        shutil.copy(source, folder)
    for name, path in DOCUMENTS.items():
        run(folder, NODE_PROGRAMS / "openapi-typescript", gateway_url + path, "--output", f"{name}.ts")
        run(folder, NODE_PROGRAMS / "openapi-ts", "--input", gateway_url + path, "--output", f"hey/{name}")
    run(folder, COMPILER, "--project", ".")
    return folder / "compiled"


def assert_played(rows: str, username: str) -> None:
    [row] = json.loads(rows)
    assert (row["username"], row["total_score"]) == (username, 1200)


def test_one_for_python_plays(gateway_url: str, python_clients: Path) -> None:
    arguments = (gateway_url, "openapi_python", PASSWORD)
    assert_played(run(python_clients, PYTHON, "openapi_python_client.py", *arguments), "openapi_python")


@pytest.mark.parametrize("program", ["hey_api", "openapi_typescript"])
def test_one_for_typescript_passes_the_compiler_and_plays(gateway_url: str, typescript_clients: Path, program: str) -> None:
    node = find_program("node", "nodejs")
    assert node
    assert_played(run(typescript_clients, node, f"{program}.js", gateway_url, program, PASSWORD), program)
