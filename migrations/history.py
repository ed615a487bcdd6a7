"""Running alembic: up to a revision or down to one."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from migrations.settings import MigrationSettings


def configuration(settings: MigrationSettings) -> Config:
    """Alembic's configuration for the database that ``settings`` names."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["settings"] = settings
    return config


def upgrade(settings: MigrationSettings, revision: str = "head") -> None:
    """Bring the schema up to ``revision``, and let each service use the tables that are its own then."""
    command.upgrade(configuration(settings), revision)


def downgrade(settings: MigrationSettings, revision: str) -> None:
    """Take the schema back to ``revision``. What the later ones stored is lost."""
    command.downgrade(configuration(settings), revision)
