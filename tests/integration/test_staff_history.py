"""The migration of staff: run again after it was cut short, and taken back, it ends no session."""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from migrations.history import configuration, downgrade, upgrade
from migrations.settings import MigrationSettings
from services.local.stack import Stack
from tests.histories import migrating, own_history
from tests.system import rows

TABLES = "staff_codes", "second_factors", "staff"


@pytest.fixture
def settings(migration_settings: MigrationSettings, stack: Stack) -> Iterator[MigrationSettings]:
    """A database of the test's own, with nothing in it."""
    with own_history(migration_settings, stack) as own:
        yield own


def before(settings: MigrationSettings) -> str:
    """The revision that it begins with."""
    revision = ScriptDirectory.from_config(configuration(settings)).get_revision("0019").down_revision
    assert isinstance(revision, str)
    return revision


def look(connection: Any) -> tuple[set[str], bool, list[tuple[Any, ...]]]:
    """Which of its tables there are, whether its column is, and the sessions."""
    tables = {name for (name,) in rows(connection, "SHOW TABLES")} & set(TABLES)
    columns = {row[0] for row in rows(connection, "SHOW COLUMNS FROM refresh_families")}
    return tables, "second_factor_at" in columns, rows(connection, "SELECT id FROM refresh_families")


@pytest.mark.parametrize("made", range(4))
def test_it_is_run_again_wherever_it_was_cut_short(settings: MigrationSettings, made: int) -> None:
    first = before(settings)
    upgrade(settings, first)
    session = (b"0123456789abcdef",)
    with migrating(settings) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO users VALUES (7, 'Ada', 'ada', 'a hash', UTC_TIMESTAMP(6))")
        cursor.execute(
            "INSERT INTO refresh_families (id, user_id, created_at, last_used_at, expires_at, ends_at, authenticated_at, kind,"
            " address, user_agent) SELECT %s, id, created_at, created_at, created_at, created_at, created_at, 'app', '', ''"
            " FROM users",
            session,
        )
        upgrade(settings, "0019")
        # As if it had been cut short: so many of its tables are made, and its column if all are.
        for table in TABLES[: 3 - made]:
            cursor.execute(f"DROP TABLE {table}")
        if made < 3:
            cursor.execute("ALTER TABLE refresh_families DROP COLUMN second_factor_at")
        cursor.execute("UPDATE alembic_version SET version_num = %s", (first,))
        upgrade(settings, "0019")
        assert look(connection) == (set(TABLES), True, [session])

        # The same on the way back.
        for table in TABLES[:made]:
            cursor.execute(f"DROP TABLE {table}")
        if made == 3:
            cursor.execute("ALTER TABLE refresh_families DROP COLUMN second_factor_at")
        downgrade(settings, first)
        assert look(connection) == (set(), False, [session])
