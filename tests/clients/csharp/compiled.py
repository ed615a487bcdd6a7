"""C# programs with the client in them, compiled by Mono's compiler, as games are by Unity's or .NET's."""

import subprocess
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from services.local import ROOT
from services.local.programs import find_program
from tests.clients.killing import Sample

CLIENT = ROOT / "frontend" / "clients" / "Leaderboard.cs"
SAMPLE = ROOT / "frontend" / "clients" / "samples" / "csharp" / "Game.cs"
PLAYER = Path(__file__).with_name("Player.cs")
# C# 6 is the oldest that has what the client uses. Each later version takes it too; Mono's compiler knows none after 7.2.
COMPILER_OPTIONS = ("-langversion:6", "-warn:4", "-warnaserror", "-r:System.Net.Http.dll")


def compile_program(program: Path, sources: Sequence[Path], *options: str) -> None:
    """Make a program of these sources and the client. Holds that the compiler warns of nothing."""
    command = [_program("mcs"), *COMPILER_OPTIONS, *options, f"-out:{program}", *map(str, sources), str(CLIENT)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def run_with(program: Path) -> list[str]:
    """The command that runs a program."""
    return [_program("mono"), str(program)]


@cache
def compiled(source: Path) -> Path:
    """The program of one source and the client, compiled once a process."""
    program = Path(_folder().name) / source.with_suffix(".exe").name
    compile_program(program, [source])
    return program


@dataclass(frozen=True)
class CompiledSample(Sample):
    """A sample that is compiled when it is first played."""

    async def start(self, url: str, state: Path, games: int) -> Process:
        return await Sample(run_with(compiled(SAMPLE)), self.environment).start(url, state, games)


@cache
def _folder() -> "TemporaryDirectory[str]":
    """Where programs are compiled to, until this process ends."""
    return TemporaryDirectory(prefix="leaderboard-csharp-")


def _program(name: str) -> str:
    found = find_program(name)
    assert found is not None, f"{name} is missing: make test installs it"
    return found
