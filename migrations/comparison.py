"""How the schema is compared with the models: what alembic cannot see through is said here."""

from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.types import JSON, TypeEngine

# Alembic cannot compare an index with a descending column on MySQL. A test looks at this one itself.
ORDER_INDEX = "ix_standings_order"


def compare_type(
    _context: Any, _inspected: Column[Any], _column: Column[Any], is_type: TypeEngine[Any], want_type: TypeEngine[Any]
) -> bool | None:
    """MariaDB stores JSON as LONGTEXT with a check: that is no difference. None leaves the rest to alembic."""
    return False if isinstance(want_type, JSON) and isinstance(is_type, LONGTEXT) else None


def include_object(_object: Any, name: str | None, _kind: str, _reflected: bool, _other: Any) -> bool:
    """Whether alembic compares it."""
    return name != ORDER_INDEX


OPTIONS: dict[str, Any] = {"compare_type": compare_type, "include_object": include_object}
