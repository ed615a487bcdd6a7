"""Addresses of audit events in a table of their own, so that nobody need change an event; leases of exports.

Tables of any size: rows are moved a batch a transaction, and a run that was cut short goes on where it was. An event that a
service of the version before writes in the moment between the last batch and the end of its column keeps no address.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from migrations.accounts import revoke_table

revision = "0007"
down_revision = "0006"

BATCH = 10_000

_ID = mysql.BIGINT(unsigned=True)
_TIME = mysql.DATETIME(fsp=6)
_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    there = sa.inspect(op.get_bind())
    if not there.has_table("audit_addresses"):
        op.create_table(
            "audit_addresses",
            sa.Column("event_id", _ID, primary_key=True, autoincrement=False),
            sa.Column("address", sa.String(64), nullable=False),
            sa.Column("occurred_at", _TIME, nullable=False, comment="when the event was"),
            sa.Index("ix_audit_addresses_occurred_at", "occurred_at"),
            sa.ForeignKeyConstraint(["event_id"], ["audit_events.id"], name="fk_audit_addresses_event_id", ondelete="CASCADE"),
            **_TABLE,
        )
    if not there.has_table("export_leases"):
        op.create_table(
            "export_leases",
            sa.Column("user_id", _ID, primary_key=True, autoincrement=False),
            sa.Column("lease_id", mysql.BINARY(16), nullable=False, comment="which export holds it"),
            sa.Column("held_until", _TIME, nullable=False),
            sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_export_leases_user_id", ondelete="CASCADE"),
            **_TABLE,
        )
    if "ix_audit_events_user_id_event" not in _indexes(there):
        op.create_index("ix_audit_events_user_id_event", "audit_events", ["user_id", "event", "occurred_at"])
    if "address" in _columns(there):
        _batch_by_batch(
            "audit_events",
            "id",
            "INSERT INTO audit_addresses (event_id, address, occurred_at)"
            " SELECT id, address, occurred_at FROM audit_events"
            " WHERE id > :after AND id <= :upto AND address IS NOT NULL AND address <> ''",
            after="SELECT MAX(event_id) FROM audit_addresses",
        )
        if "ix_audit_events_address" in _indexes(there):
            op.drop_index("ix_audit_events_address", "audit_events")
        op.drop_column("audit_events", "address")
    settings = context.config.attributes["settings"]
    revoke_table(op.get_bind(), settings, settings.auth_mysql_user, "audit_events")


def downgrade() -> None:
    there = sa.inspect(op.get_bind())
    if "address" not in _columns(there):
        op.add_column("audit_events", sa.Column("address", sa.String(64), comment="forgotten after a set time"))
    if there.has_table("audit_addresses"):
        _batch_by_batch(
            "audit_addresses",
            "event_id",
            "UPDATE audit_events JOIN audit_addresses ON event_id = id SET audit_events.address = audit_addresses.address"
            " WHERE event_id > :after AND event_id <= :upto",
        )
        op.drop_table("audit_addresses")
    if "ix_audit_events_address" not in _indexes(there):
        op.create_index("ix_audit_events_address", "audit_events", ["address", "occurred_at"])
    if "ix_audit_events_user_id_event" in _indexes(there):
        op.drop_index("ix_audit_events_user_id_event", "audit_events")
    if there.has_table("export_leases"):
        op.drop_table("export_leases")


def _batch_by_batch(table: str, key: str, statement: str, after: str = "SELECT 0") -> None:
    """Run ``statement`` on BATCH rows of ``table`` after the other, from the key that ``after`` selects on."""
    connection = op.get_bind()
    reached = connection.scalar(sa.text(after)) or 0
    page = sa.text(
        f"SELECT MAX(k) FROM (SELECT {key} AS k FROM {table} WHERE {key} > :after ORDER BY {key} LIMIT {BATCH}) AS page"
    )
    while (upto := connection.scalar(page, {"after": reached})) is not None:
        connection.execute(sa.text(statement), {"after": reached, "upto": upto})
        connection.commit()
        reached = upto
    connection.commit()  # what was read would keep the table from being changed


def _columns(there: sa.Inspector) -> set[str]:
    return {column["name"] for column in there.get_columns("audit_events")}


def _indexes(there: sa.Inspector) -> set[str | None]:
    return {index["name"] for index in there.get_indexes("audit_events")}
