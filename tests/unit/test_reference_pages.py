"""The tables of docs/settings.md and docs/api.md are what the code says."""

import re
from pathlib import Path

import pytest

from services.local import ROOT
from services.local.reference.endpoints import tags
from services.local.reference.pages import PAGES, rendered


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_tables_are_what_make_docs_writes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert rendered(text) == text, "make docs writes them anew"


def test_every_endpoint_is_in_a_table() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    tables = re.findall(r"<!-- table: endpoints of ([a-z]+) -->", text)
    assert sorted(tables) == sorted(tags())
