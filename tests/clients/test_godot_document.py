"""docs/godot.md: every snippet, run in a game as a reader would run it."""

import re

import pytest

from services.local import ROOT
from tests.clients.godot import Driver
from tests.clients.losing import Losing
from tests.e2e.pasting import blocks
from tests.e2e.visitor import new_name
from tests.system import eventually

DOCUMENT = (ROOT / "docs" / "godot.md").read_text(encoding="utf-8")
SNIPPETS = blocks(DOCUMENT, "gdscript")
SCRIPTS = [snippet for snippet in SNIPPETS if snippet.startswith("extends ")]
FIRST, SAVE_GAME = SCRIPTS
BODIES = [snippet for snippet in SNIPPETS if snippet not in SCRIPTS]
# What each of them prints, in their order.
PRINTED = [
    [r"1\. .+ \d+"],
    [r"\{ \"user_id\": \d+, \"username\": \"\w+\", \"guest\": true \}", "true"],
    [r"Grace\w+"],
    [r"Rank \d+"],
    [],
    [],
    ["2 scores: waiting", r"\w{32} is counted. Rank \d+", "1 scores: waiting", r"\w{32} was refused: .+", "0 scores: empty"],
    ["true"],
    [r"The best is .+", r"My rank is \d+"],
    [r"Somebody has this name already\."],
]


def as_of(losing: Losing, snippet: str) -> str:
    """The snippet, which plays here, with names that nobody has."""
    for name in ("Ada", "Grace"):
        snippet = snippet.replace(f'"{name}"', f'"{name}{new_name().removeprefix("e2e_")}"')
    return snippet.replace("http://localhost:8080", losing.url)


async def is_printed(godot: Driver, *patterns: str) -> None:
    async def is_so() -> bool:
        await godot.run("await get_tree().create_timer(0.1).timeout")
        return all(any(re.fullmatch(pattern, line) for line in godot.printed) for pattern in patterns)

    await eventually(is_so)


async def test_the_first_script_goes_on_as_the_same_guest(godot: Driver, losing: Losing) -> None:
    await godot.run('Leaderboard.BrowserStorage.new().write("session", "")')
    for points in (1200, 2400):
        await godot.begin(losing.url)
        await godot.run_script(as_of(losing, FIRST))
        await is_printed(godot, rf"\w+ has {points} points and rank \d+")


async def test_a_game_keeps_it_elsewhere(godot: Driver, losing: Losing) -> None:
    script = as_of(losing, SAVE_GAME).replace("\tadd_child", f'\tleaderboard.url = "{losing.url}"\n\tadd_child')
    await godot.run_script(script)
    await is_printed(godot, r"Sent\.")


@pytest.mark.parametrize("number", range(len(BODIES)))
async def test_a_snippet_does_what_it_says(godot: Driver, losing: Losing, number: int) -> None:
    await godot.run("""
        kept().game = begin()
        await kept().game.play_as_guest()
        await kept().game.submit(1000).result()
    """)
    body = as_of(losing, BODIES[number])
    if "match answer" in body:
        name = re.findall(r'register\("(\w+)"', body)[0]
        await godot.run(f'await begin().register("{name}", "correct horse battery")')
    await godot.run("var leaderboard: Leaderboard = kept().game\n" + body)
    await is_printed(godot, *PRINTED[number])


def test_the_page_tells_of_every_method_and_signal() -> None:
    client = (ROOT / "frontend" / "clients" / "leaderboard.gd").read_text(encoding="utf-8")
    public = re.findall(r"^(?:func|signal) ([a-z]\w*)", client, re.MULTILINE)
    assert [name for name in public if not re.search(rf"\b{name}\b", DOCUMENT)] == []
