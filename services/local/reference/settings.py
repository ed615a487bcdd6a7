"""The settings of each process and of the gateway, as their classes have them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from migrations.settings import MigrationSettings
from services.auth.settings import AuthSettings
from services.leaderboard.settings import LeaderboardSettings
from services.local.gateway import GatewaySettings

SETTINGS: dict[str, type[BaseModel]] = {
    "gateway": GatewaySettings,
    "auth": AuthSettings,
    "leaderboard": LeaderboardSettings,
    "migration": MigrationSettings,
}
# Which settings a table has: those of exactly one of these sets of owners.
_TABLES: dict[str, list[set[str]]] = {
    "gateway": [{"gateway"}],
    "every process": [{"auth", "leaderboard", "migration"}],
    "both services": [{"auth", "leaderboard"}],
    "auth": [{"auth"}, {"auth", "migration"}],
    "leaderboard": [{"leaderboard"}, {"leaderboard", "migration"}],
    "migration": [{"migration"}],
}


def owners(name: str) -> set[str]:
    """Whose setting it is."""
    return {owner for owner, settings in SETTINGS.items() if name in settings.model_fields}


def setting_rows(table: str) -> Iterator[Sequence[str]]:
    """A head, and a row for each setting of a table."""
    yield "setting", "default", "values", "meaning"
    names = dict.fromkeys(name for settings in SETTINGS.values() for name in settings.model_fields)
    for name in names:
        having = owners(name)
        if having in _TABLES[table]:
            fields = {owner: SETTINGS[owner].model_fields[name] for owner in sorted(having)}
            field = next(iter(fields.values()))
            yield f"`{name.upper()}`", _default(fields), _values(field), field.description or ""


def _default(fields: dict[str, FieldInfo]) -> str:
    field = next(iter(fields.values()))
    if field.is_required():
        return "secret"
    if field.default_factory is not None:
        return "one a core"
    defaults = {owner: each.default for owner, each in fields.items()}
    if len(set(defaults.values())) > 1:
        return ", ".join(f"{owner}: `{default}`" for owner, default in defaults.items())
    return "none" if field.default is None or field.default is PydanticUndefined else f"`{_written(field.default)}`"


def _written(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def _values(field: FieldInfo) -> str:
    annotation: Any = field.annotation
    if annotation is bool:
        return "`true`, `false`"
    choices = get_args(annotation) if get_origin(annotation) is Literal else _choices(field)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    least = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    most = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    if least is not None and most is not None:
        return f"{least:,} to {most:,}"
    if least is not None:
        return f"{least:,} or more"
    return "more than 0" if any(isinstance(each, Gt) for each in field.metadata) else "text"


def _choices(field: FieldInfo) -> Sequence[str]:
    pattern = next((each.pattern for each in field.metadata if getattr(each, "pattern", None)), "")
    found = re.fullmatch(r"\^\(([A-Za-z|]+)\)\$", pattern)
    return found[1].split("|") if found else ()
