"""docs/csharp.md: every snippet, compiled, and run in a program as a reader would run it."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx

from services.local import ROOT
from services.local.stack import Stack
from tests.clients.csharp.compiled import CLIENT, SAMPLE, compile_program, run_with
from tests.clients.keys import make_key
from tests.e2e.pasting import blocks
from tests.e2e.visitor import new_name
from tests.system import PASSWORD, Accounts

DOCUMENT = (ROOT / "docs" / "csharp.md").read_text(encoding="utf-8")
SITE = "http://localhost:8080"
GETTING, RUNNING, PLAYING = blocks(DOCUMENT, "sh")
FIRST, *SNIPPETS = blocks(DOCUMENT, "csharp")
TYPES = blocks(DOCUMENT, "csharp type")
[UNITY] = blocks(DOCUMENT, "csharp unity")
USINGS = ["System", "System.Collections.Generic", "System.Linq", "System.Threading.Tasks", "LeaderboardClient"]


def run(command: list[str], folder: Path, **options: Any) -> str:
    """What a program prints in a folder."""
    ran: subprocess.CompletedProcess[str] = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100, **options
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def shell(script: str, folder: Path, **options: Any) -> str:
    """What a shell prints in a folder."""
    script = script.replace(f"{SITE}/clients/", f"file://{CLIENT.parent}/")
    return run(["bash", "-euo", "pipefail", "-c", script], folder, **options)


def snippets(url: str, names: dict[str, str]) -> str:
    """A program that runs the snippets, each in a method of its own that finds a game that is open."""
    ada, grace = new_name(), new_name()
    text = "".join(f"using {name};\n" for name in USINGS) + "\n".join(TYPES) + "static class Snippets\n{\n"
    text += "".join(f"    const {kind} {name} = {value};\n" for kind, name, value in _constants(names))
    for number, snippet in enumerate(SNIPPETS):
        body = snippet.replace('"Ada"', f'"{ada}"').replace('"Grace"', f'"{grace}"')  # others have played here
        text += f"static async Task Snippet{number}(Leaderboard game)\n{{\n{body}\n}}\n"
    calls = "".join(f"        Snippet{number}(game).Wait();\n" for number in range(len(SNIPPETS)))
    text += f"""
    static void Main()
    {{
        Leaderboard game = Leaderboard.OpenAsync("{SITE}").Result;
{calls}        game.CloseAsync().Wait();
    }}
}}
"""
    return text.replace(SITE, url)


def _constants(names: dict[str, str]) -> list[tuple[str, str, str]]:
    return [("string" if value.startswith('"') else "long", name, value) for name, value in names.items()]


async def test_the_first_program_runs_as_it_stands(tmp_path: Path, gateway_url: str) -> None:
    await asyncio.to_thread(shell, GETTING, tmp_path)
    (tmp_path / "First.cs").write_text(FIRST.replace(SITE, gateway_url), encoding="utf-8")
    printed = (await asyncio.to_thread(shell, RUNNING, tmp_path)).splitlines()
    first, second = [line for line in printed if " points and rank " in line]
    assert " has 1200 points and rank " in first
    assert second.replace(" 2400 ", " 1200 ").split()[:3] == first.split()[:3]


async def test_each_snippet_is_compiled_and_runs(tmp_path: Path, gateway_url: str, stack: Stack, accounts: Accounts) -> None:
    key = await make_key(stack, accounts, gateway_url)
    names = {"clientId": f'"{key["client_id"]}"', "clientSecret": f'"{key["client_secret"]}"'}
    async with httpx.AsyncClient(base_url=gateway_url) as client:
        for player in ("ada", "grace"):
            answer = await client.post("/auth/register", json={"username": new_name(), "password": PASSWORD})
            names[player] = str(answer.json()["user_id"])
    source, program = tmp_path / "Snippets.cs", tmp_path / "snippets.exe"
    source.write_text(snippets(gateway_url, names), encoding="utf-8")
    await asyncio.to_thread(compile_program, program, [source], "-nowarn:219")  # what a snippet reads only to show how
    printed = await asyncio.to_thread(run, run_with(program), tmp_path)
    assert "409 urn:problem:username-taken" in printed
    assert "5 points are counted. Rank " in printed
    assert "-5 points were refused: " in printed
    assert "My rank: " in printed
    assert "201 201" in printed


async def test_the_script_for_unity_is_compiled_and_plays(tmp_path: Path, gateway_url: str) -> None:
    source, program = tmp_path / "Scores.cs", tmp_path / "unity.exe"
    source.write_text(UNITY.replace(SITE, gateway_url), encoding="utf-8")
    await asyncio.to_thread(compile_program, program, [source, Path(__file__).parent / "csharp" / "Unity.cs"])
    assert "Your rank: " in await asyncio.to_thread(run, run_with(program), tmp_path)


async def test_the_sample_is_as_short_as_the_document_says_and_plays(tmp_path: Path, gateway_url: str) -> None:
    lines = len(SAMPLE.read_text(encoding="utf-8").splitlines())
    assert f"in {lines} lines" in DOCUMENT
    compiling, playing = PLAYING.strip().splitlines()
    (tmp_path / "frontend").symlink_to(ROOT / "frontend")
    await asyncio.to_thread(shell, compiling, tmp_path)
    environment = {**os.environ, "LEADERBOARD_URL": gateway_url, "LEADERBOARD_STATE": str(tmp_path / "saved")}
    printed = await asyncio.to_thread(shell, playing, tmp_path, input="\ns\n" * 20, env=environment)
    assert "\nqueued " in printed.replace("s stops: ", "\n")
    assert "\ncounted " in printed
    assert "You are " in printed


def test_the_document_names_the_version_of_the_client() -> None:
    client = CLIENT.read_text(encoding="utf-8")
    [version] = [line.split('"')[1] for line in client.splitlines() if "const string Version" in line]
    assert f"Its version is {version}" in DOCUMENT
    assert f"Version {version}" in client.splitlines()[0]
