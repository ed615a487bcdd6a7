"""Alembic's environment: connects as `migrate`, compares with both services' models, grants each service its tables."""

from alembic import context
from sqlalchemy import create_engine

from migrations.accounts import grant_tables
from migrations.comparison import OPTIONS
from migrations.settings import MigrationSettings
from services.auth.models import AuthBase
from services.common.settings import load_settings
from services.leaderboard.models import LeaderboardBase

TARGETS = [AuthBase.metadata, LeaderboardBase.metadata]


def run() -> None:
    settings = context.config.attributes.get("settings") or load_settings(MigrationSettings)
    context.config.attributes["settings"] = settings  # for the revisions that take grants back
    engine = create_engine(settings.migrate_url, hide_parameters=True)
    try:
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=TARGETS, **OPTIONS)
            with context.begin_transaction():
                context.run_migrations()
            grant_tables(connection, settings)
            connection.commit()
    finally:
        engine.dispose()


run()
