"""The fenced snippets of README and docs. Each is run by a test, or compared there with a real answer, or excused here.

A test's module takes what it runs while it is imported:

    SET_UP, PLAY = take("docs/connect.md", "sh")

tests/unit/test_snippets.py fails for a snippet that no module takes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from services.local import ROOT

_FENCED = re.compile(r"^```([a-z ]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """What a page has between two fences."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'})"


# Why no test runs a snippet. It is named by its page, and by what it has in it.
EXCUSED: dict[tuple[str, str], str] = {
    ("README.md", "make test"): "make test is what runs here; tests/integration/test_local_run.py runs what make run does",
    ("README.md", "┌───▼────┐"): "a drawing",
    ("CONTRIBUTING.md", "make lint"): "make test begins with it",
    ("docs/connect.md", "git clone"): "wants the address of the repository",
    (
        "docs/connect.md",
        "make run",
    ): "tests/integration/test_local_run.py runs what it does, tests/e2e/test_connect_document.py the rest",
    ("docs/deploy.md", "docker compose up --build"): "wants a server with containers",
    ("docs/deploy.md", ">> .env"): "wants the same containers",
    ("docs/deploy.md", "sudo install"): "wants root, and a container",
    ("docs/security.md", "keys add volumes"): "wants the containers of make up",
    ("docs/security.md", "keys replace volumes"): "wants the containers of make up",
}

_taken: set[Snippet] = set()


def pages() -> list[str]:
    """README and what is in docs/, by their paths in the repository."""
    return ["README.md", "CONTRIBUTING.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]


def snippets(page: str) -> list[Snippet]:
    """Every snippet of a page, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Snippet(page, text.count("\n", 0, found.start()) + 1, *found.groups()) for found in _FENCED.finditer(text)]


def take(page: str, language: str, *, having: str = "", without: str | None = None) -> list[str]:
    """The snippets of a page in a language, for the calling module to run: all, or those with one text and without another."""
    found = [each for each in snippets(page) if each.language == language and having in each.text]
    found = [each for each in found if without is None or without not in each.text]
    assert found, f"{page} has no such snippet"
    _taken.update(found)
    return [each.text for each in found]


def excuse(snippet: Snippet) -> str | None:
    """Why no test runs a snippet, if that is so."""
    return next((why for (page, part), why in EXCUSED.items() if page == snippet.page and part in snippet.text), None)


def left_over(page: str) -> list[Snippet]:
    """The snippets of a page that nobody has taken so far and that have no excuse."""
    return [each for each in snippets(page) if each not in _taken and excuse(each) is None]


def modules() -> list[str]:
    """The names of the test modules that take snippets."""
    files = [file.relative_to(ROOT) for file in sorted((ROOT / "tests").rglob("*.py")) if "node_modules" not in file.parts]
    return [".".join(file.with_suffix("").parts) for file in files if _takes(file)]


def _takes(file: Path) -> bool:
    text = (ROOT / file).read_text(encoding="utf-8")
    return re.search(r"^from tests\.(snippets|e2e\.pasting) import .*\b(take|blocks)\b", text, re.MULTILINE) is not None
