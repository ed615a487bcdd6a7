"""Alembic's environment: connects as `migrate`, compares with both services' models, grants each service its tables."""

from typing import Any

from alembic import context
from sqlalchemy import Column, create_engine
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.types import JSON, TypeEngine

from migrations.accounts import grant_tables
from migrations.settings import MigrationSettings
from services.auth.models import AuthBase
from services.common.settings import load_settings
from services.leaderboard.models import LeaderboardBase

TARGETS = [AuthBase.metadata, LeaderboardBase.metadata]


def differs(
    _context: Any, _inspected: Column[Any], _column: Column[Any], is_type: TypeEngine[Any], want_type: TypeEngine[Any]
) -> bool | None:
    """MariaDB stores JSON as LONGTEXT with a check: that is no difference. None leaves the rest to alembic."""
    return False if isinstance(want_type, JSON) and isinstance(is_type, LONGTEXT) else None


def run() -> None:
    settings = context.config.attributes.get("settings") or load_settings(MigrationSettings)
    engine = create_engine(settings.migrate_url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=TARGETS, compare_type=differs)
            with context.begin_transaction():
                context.run_migrations()
            grant_tables(connection, settings)
            connection.commit()
    finally:
        engine.dispose()


run()
