"""Who has which case of a batch; how much a person can do in a week, and when they are away."""

from importlib import import_module

import sqlalchemy as sa
from alembic import op

from evenhand.store.tables import Utc

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = ("assignments",)
PERSON = (("capacity", sa.Integer()), ("away_since", sa.Date()), ("away_until", sa.Date()))
_first = import_module("evenhand.store.migrations.versions.0001_the_first_schema")


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("draw_id", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=16), nullable=False),
        sa.Column("turn", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sme_id", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draw_id", "decision_id"], ["drawn_items.draw_id", "drawn_items.decision_id"]
        ),
        sa.PrimaryKeyConstraint("draw_id", "decision_id", "turn"),
    )
    for name, kind in PERSON:
        op.add_column("users", sa.Column(name, kind, nullable=True))
    for table in APPEND_ONLY:
        for statement in _first.guards(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    op.drop_table("assignments")
    with op.batch_alter_table("users") as batch:
        for name, _ in reversed(PERSON):
            batch.drop_column(name)
