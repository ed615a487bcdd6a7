"""No snippet of README and docs goes without a test that runs it."""

from importlib import import_module

import pytest

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
