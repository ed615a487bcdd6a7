"""Pages with tables of the code's.

A table stands between two comments, `<!-- table: settings of auth -->` and `<!-- end -->`. All else is written by hand.
"""

import re
from collections.abc import Iterable, Sequence

from services.local import ROOT
from services.local.reference.endpoints import endpoint_rows
from services.local.reference.limits import limit_rows
from services.local.reference.settings import setting_rows

PAGES = (ROOT / "docs" / "settings.md", ROOT / "docs" / "api.md")
_TABLE = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rendered(page: str) -> str:
    """A page's text, with tables of what the code says now."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{_table(found[2])}\n{found[3]}", page)


def _table(name: str) -> str:
    kind, _, which = name.partition(" of ")
    match kind:
        case "settings":
            return _markdown(setting_rows(which))
        case "endpoints":
            return _markdown(endpoint_rows(which))
        case "limits":
            return _markdown(limit_rows())
        case _:
            raise ValueError(f"there is no table of {name}")


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    head, *others = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *others))
