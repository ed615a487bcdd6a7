"""`python -m migrations` makes the database and its accounts, then brings the schema up to date. Safe to run again."""

import structlog

from migrations.accounts import ensure_accounts
from migrations.history import upgrade
from migrations.settings import MigrationSettings
from services.common.settings import load_settings
from services.common.telemetry import configure_logging


def main() -> None:
    settings = load_settings(MigrationSettings)
    configure_logging(settings, "migrate")
    ensure_accounts(settings)
    upgrade(settings)
    structlog.get_logger(__name__).info("the schema is up to date")


if __name__ == "__main__":
    main()
