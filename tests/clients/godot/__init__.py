"""Godot 4, as its makers build it for browsers, without a window and in Node: what runs the client in GDScript."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent
from typing import IO, Any

from services.local import ROOT
from services.local.programs import find_program
from tests.clients.killing import Sample

CLIENT = ROOT / "frontend" / "clients" / "leaderboard.gd"
SAMPLE = ROOT / "frontend" / "clients" / "samples" / "godot"
_HERE = Path(__file__).parent


def godot(*project: Path) -> list[str]:
    """The command that runs a project of these files, and of those in these folders."""
    node = find_program("node", "nodejs") or "node"
    # What is compiled at once, and as it is needed, begins in a third of the time.
    return [node, "--no-wasm-tier-up", "--wasm-lazy-compilation", str(_HERE / "engine.mjs"), *map(str, project)]


def godot_sample() -> Sample:
    """The sample game in GDScript."""
    return Sample(godot(SAMPLE, CLIENT))


class Driver:
    """A running engine, which runs the scripts that it is given."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to: IO[str] = process.stdin
        self._from: IO[str] = process.stdout
        self._number = 0
        self.printed: list[str] = []
        """What scripts have printed since the last `begin`."""

    async def begin(self, url: str) -> None:
        """Leave all clients that there are, and have those of the scripts from now on play at this address."""
        await self.run(f"kept().url = {json.dumps(url)}", begin=True)
        self.printed.clear()

    async def run(self, script: str, *, begin: bool = False) -> Any:
        """What a script returns once it is done. It may await, and has what runner.gd has. Clients go on when it is done."""
        body = indent(re.sub(r"(?m)^(?: {4})+", lambda spaces: "\t" * (len(spaces[0]) // 4), dedent(script).strip("\n")), "\t")
        return await self.run_script(f'extends "res://runner.gd"\n\n\nfunc run():\n{body}\n', begin=begin)

    async def run_script(self, script: str, *, begin: bool = False) -> Any:
        """Put a node with this script into the scene. What its method `run` returns, if it has one."""
        self._number += 1
        return await asyncio.to_thread(self._ask, {"number": self._number, "script": script, "begin": begin})

    def wait(self) -> None:
        """Wait until it can be given scripts."""
        for line in self._from:
            if line == "ready\n":
                return
        raise AssertionError("The engine has not begun.")

    def _ask(self, order: dict[str, Any]) -> Any:
        self._to.write(json.dumps(order) + "\n")
        self._to.flush()
        for line in self._from:
            if line.startswith("answer "):
                answer = json.loads(line.removeprefix("answer "))
                if answer["number"] == order["number"]:
                    assert answer["compiled"], order["script"]
                    return answer["value"]
            else:
                self.printed.append(line.rstrip("\n"))
        raise AssertionError("The engine has ended.")


@contextmanager
def driving(state: Path) -> Iterator[Driver]:
    """An engine that is given scripts. Its files in this folder are real ones."""
    environment = {**os.environ, "LEADERBOARD_STATE": str(state)}
    with subprocess.Popen(
        godot(_HERE / "driver", CLIENT), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            driver = Driver(process)
            driver.wait()
            yield driver
        finally:
            process.kill()
