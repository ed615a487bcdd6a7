"""A game in C# that does what a test says."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.clients.csharp.compiled import PLAYER, compiled, run_with


class Refused(Exception):
    """What the client has thrown: the name of the exception, and what it says."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.error: str = answer["error"]
        self.status: int | None = answer["status"]
        self.type: str | None = answer["type"]
        self.retry_after: float | None = answer["retry_after"]
        self.errors: Any = answer["errors"]
        super().__init__(answer["message"])


class Player:
    """The program Player.cs. It is told what to do, and says what has come of it."""

    def __init__(self, process: Process, url: str) -> None:
        self._process = process
        self._url = url
        self._asked: list[asyncio.Future[Any]] = []
        self.told: list[tuple[str, Any]] = []
        """What the client has told by itself, in order: the name and what of it."""

    def heard(self, name: str) -> list[Any]:
        """What has been told by this name."""
        return [what for told, what in self.told if told == name]

    async def open(self, **options: Any) -> Any:
        """Open a client, and give who is signed in. Without a folder it goes on with the memory of the one before."""
        return await self.ask("open", url=self._url, **options)

    async def ask(self, do: str, **what: Any) -> Any:
        """Have something done, and give the answer. Raises Refused."""
        return await self.begin(do, **what)

    def begin(self, do: str, **what: Any) -> "asyncio.Future[Any]":
        """Have something done, without waiting for it."""
        assert self._process.stdin is not None
        future = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        line = {"do": do, "of": len(self._asked) - 1, **what}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        return future

    async def listen(self) -> None:
        """Take in what the program prints, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "told" in said:
                self.told.append((said["told"], said["what"]))
            elif "error" in said:
                self._asked[said["of"]].set_exception(Refused(said))
            else:
                self._asked[said["of"]].set_result(said["answer"])


@asynccontextmanager
async def playing(url: str) -> AsyncIterator[Player]:
    """A player at ``url``, whose program ends in the end."""
    command = run_with(await asyncio.to_thread(compiled, PLAYER))
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=1 << 20)
    player = Player(process, url)
    listening = asyncio.ensure_future(player.listen())
    try:
        yield player
    finally:
        if process.returncode is None:
            process.kill()
        await listening
        await process.wait()
