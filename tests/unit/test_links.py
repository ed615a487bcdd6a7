"""Links of README, CONTRIBUTING, CHANGELOG and docs lead somewhere, and the commands that they name are there."""

import re

import pytest

from services.local import ROOT

PAGES = {page.relative_to(ROOT).as_posix(): page for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
_FENCES = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def prose(name: str) -> str:
    return _FENCES.sub("", PAGES[name].read_text(encoding="utf-8"))


def anchors(name: str) -> set[str]:
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        file = (PAGES[name].parent / place).resolve() if place else PAGES[name]
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("name", PAGES)
def test_every_target_of_make_that_is_named_is_there(name: str) -> None:
    named = re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z]+)[^`]*`", PAGES[name].read_text(encoding="utf-8"))
    assert set(named) <= TARGETS


def test_every_page_of_docs_is_named_by_the_readme() -> None:
    readme = prose("README.md")
    assert [name for name in PAGES if name.startswith("docs/") and f"]({name}" not in readme] == []
