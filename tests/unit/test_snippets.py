"""No snippet of README and docs goes without a test that runs it."""

import ast
from importlib import import_module

import pytest

from services.local import ROOT
from tests import snippets


@pytest.fixture(scope="module", autouse=True)
def taken() -> None:
    """Import every module that takes snippets: each says so then."""
    for name in snippets.modules():
        import_module(name)


@pytest.mark.parametrize("page", snippets.pages())
def test_every_snippet_of_a_page_is_run_by_a_test_or_has_an_excuse(page: str) -> None:
    assert [str(each) for each in snippets.left_over(page)] == []


@pytest.mark.parametrize(("page", "part"), snippets.EXCUSED)
def test_every_excuse_is_of_one_snippet(page: str, part: str) -> None:
    assert len([each for each in snippets.snippets(page) if part in each.text]) == 1


def test_every_snippet_says_its_language() -> None:
    assert [str(each) for page in snippets.pages() for each in snippets.snippets(page) if not each.language] == []


@pytest.mark.parametrize("name", snippets.modules())
def test_what_a_module_takes_is_used_by_its_tests(name: str) -> None:
    tree = ast.parse((ROOT / name.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8"))
    taking = [node for node in tree.body if isinstance(node, ast.Assign) and _takes(node.value)]
    names = {part.id for node in taking for part in ast.walk(node) if isinstance(part, ast.Name) and _is_bound(part)}
    assert names <= {part.id for part in ast.walk(tree) if isinstance(part, ast.Name) and not _is_bound(part)}


def _takes(value: ast.expr) -> bool:
    return any(isinstance(part, ast.Name) and part.id in {"take", "blocks"} for part in ast.walk(value))


def _is_bound(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)
