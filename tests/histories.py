"""What tests of migrations share: a database of a test's own, and connections to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pydantic import SecretStr

from migrations.accounts import ensure_accounts
from migrations.settings import MigrationSettings
from services.local.stack import Stack


@contextmanager
def own_history(beside: MigrationSettings, stack: Stack) -> Iterator[MigrationSettings]:
    """A database with nothing in it, for a block."""
    own = beside.model_copy(update={"mysql_database": f"{beside.mysql_database}_history"})
    ensure_accounts(own)
    try:
        yield own
    finally:
        with stack.mysql.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE `{own.mysql_database}`")


def connect(settings: MigrationSettings, account: str, password: SecretStr) -> "pymysql.Connection[Any]":
    """A connection of one of the accounts."""
    return pymysql.connect(
        host=settings.mysql_host,
        port=settings.mysql_port,
        user=account,
        password=password.get_secret_value(),
        database=settings.mysql_database,
    )


def migrating(settings: MigrationSettings) -> "pymysql.Connection[Any]":
    """A connection of the account that changes the schema, each statement a transaction."""
    connection = connect(settings, "migrate", settings.migrate_mysql_password)
    connection.autocommit(True)
    return connection
