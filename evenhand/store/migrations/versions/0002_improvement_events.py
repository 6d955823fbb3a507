"""What is done about slices whose error rate stands out."""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

from evenhand.store.tables import Utc

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("improvement_events",)
_first = import_module("evenhand.store.migrations.versions.0001_the_first_schema")


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "improvement_events",
        sa.Column("id", key, nullable=False),
        sa.Column("improvement_id", sa.String(length=64), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_improvement_events_improvement", "improvement_events", ["improvement_id"])
    for table in APPEND_ONLY:
        for statement in _first.guards(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    op.drop_table("improvement_events")
