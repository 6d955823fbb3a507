"""Skips that were taken back."""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

from evenhand.store.tables import Utc

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APPEND_ONLY = ("skip_undos",)
_first = import_module("evenhand.store.migrations.versions.0001_the_first_schema")


def upgrade() -> None:
    op.create_table(
        "skip_undos",
        sa.Column("skip_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["skip_id"], ["skips.id"]),
        sa.PrimaryKeyConstraint("skip_id"),
    )
    for table in APPEND_ONLY:
        for statement in _first.guards(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    op.drop_table("skip_undos")
