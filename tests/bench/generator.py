"""The load generator: what it is asked to send, and what it measured.

It is wrk: one thread of C costs a fifth of a core where k6 (JavaScript in each request) costs more than the service it
measures, and both share the machine. Debian, Fedora and Homebrew package it.
"""

import http.client
import json
import os
import re
import resource
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from services.local.errors import MissingPrerequisite
from services.local.programs import find_program, version_line
from tests.bench.machine import Meter

CONNECTIONS = 32
ITEM_LENGTH = 26
"""Characters of what ``{item}`` stands for."""
_TIMEOUT_SECONDS = 5
_SCRIPT = Path(__file__).with_name("load.lua")
_ERRORS = {
    "connect": "connections refused",
    "read": "answers cut off",
    "write": "requests not sent",
    "status": "answers with an error status",
    "timeout": "answers later than the time-out",
}


class GeneratorFailed(Exception):
    """A round cannot be counted. The message says what went wrong in it."""


@dataclass(frozen=True)
class Load:
    """A request that is sent again and again. ``{value}`` in it is one of ``values``, ``{key}`` never the same twice.

    In the body there may be ``{other}``, each time one of ``others``, which are all of one length, and ``{item}``, which is
    never the same twice, in a request neither.
    """

    name: str
    method: str
    path: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    values: Sequence[str] = ("-",)
    others: Sequence[str] = ("-",)
    connections: int = CONNECTIONS

    @property
    def text(self) -> str:
        """The request as it goes over the wire."""
        length = len(self.body.replace("{other}", self.others[0]).replace("{item}", "-" * ITEM_LENGTH))
        headers = {"Host": "bench", **self.headers, **({"Content-Length": str(length)} if length else {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n{self.body}"

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """The files that generators read it from: the request, its values, and its others."""
        request, values, others = (folder / f"{self.name}.{part}" for part in ("request", "values", "others"))
        request.write_text(self.text, encoding="ascii", newline="")
        for path, lines in ((values, self.values), (others, self.others)):
            path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        return request, values, others


@dataclass(frozen=True)
class Measurement:
    """What one round of one load came to."""

    rate: float
    """Answers a second."""
    p50: float
    """Half of the answers came within as many milliseconds."""
    p99: float
    cores: Mapping[str, float] = field(default_factory=dict)
    """How many cores each part of the system kept busy meanwhile; ``elsewhere`` is what was not ours."""


@dataclass(frozen=True)
class Answer:
    """What a load's request is answered with, asked once."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(url: str, load: Load, key: str = "") -> Answer:
    """Send the load's request once, with its first value."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def fill(text: str) -> str:
        filled = text.replace("{value}", load.values[0]).replace("{other}", load.others[0])
        return re.sub(r"\{item\}", lambda _: token_hex(ITEM_LENGTH // 2), filled).replace("{key}", key or token_hex(8))

    try:
        headers = {name: fill(value) for name, value in load.headers.items()}
        connection.request(load.method, fill(load.path), fill(load.body).encode() or None, headers)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def run(load: Load, urls: Sequence[str], seconds: int, folder: Path, meter: Meter) -> Measurement:
    """Send ``load`` for ``seconds`` over its connections, shared between ``urls`` with a generator each.

    Raises GeneratorFailed when an answer is missing or is an error.
    """
    wrk = _program()
    files = [str(path) for path in load.write(folder)]
    options = [
        "-t1",
        f"-c{max(1, load.connections // len(urls))}",
        f"-d{seconds}s",
        f"--timeout={_TIMEOUT_SECONDS}s",
        "-s",
        str(_SCRIPT),
    ]
    with meter.watching() as watched:
        spent = _children_seconds()
        running = [
            subprocess.Popen(  # a program of the distribution's, and files of ours
                [wrk, *options, url, "--", *files, token_hex(8)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env={"PATH": os.environ.get("PATH", "")},
            )
            for url in urls
        ]
        try:
            outputs = [process.communicate(timeout=seconds + 30)[0] for process in running]
        except subprocess.TimeoutExpired:
            raise GeneratorFailed("the generator did not come to an end") from None
        finally:
            for process in running:
                process.kill()
                process.wait()
        watched.add("generator", _children_seconds() - spent)
    return merge([parse(output) for output in outputs], watched.cores())


def parse(output: str) -> Measurement:
    """Read what load.lua printed. Raises GeneratorFailed when that is nothing, or tells of errors."""
    line = next((line for line in reversed(output.splitlines()) if line.startswith("{")), None)
    if line is None:
        raise GeneratorFailed(f"the generator gave no result: {output.strip()[-300:] or 'no output'}")
    result = json.loads(line)
    errors = [f"{result[kind]:,} {words}" for kind, words in _ERRORS.items() if result[kind]]
    if errors:
        raise GeneratorFailed(f"{', '.join(errors)} beside {result['requests']:,} answers")
    if not result["requests"]:
        raise GeneratorFailed("no answer at all")
    return Measurement(result["requests"] / result["microseconds"] * 1e6, result["p50"] / 1000, result["p99"] / 1000)


def merge(parts: Sequence[Measurement], cores: Mapping[str, float]) -> Measurement:
    """What generators that ran at the same time measured together: rates add up, of the percentiles the worst counts."""
    return Measurement(
        sum(part.rate for part in parts), max(part.p50 for part in parts), max(part.p99 for part in parts), dict(cores)
    )


def generator_version() -> str:
    """As its package has it."""
    return version_line(_program()).split()[1]


def _program() -> str:
    found = find_program("wrk")
    if found is None:
        raise MissingPrerequisite("wrk is not installed: `make bench` installs it or names the package")
    return found


def _children_seconds() -> float:
    """Processor time of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
