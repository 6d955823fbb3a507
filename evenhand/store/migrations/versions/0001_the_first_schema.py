"""The first schema."""

import sqlalchemy as sa
from alembic import op

from evenhand.store.tables import Utc

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("rulings", "ruling_undos", "draws", "drawn_items", "live_models", "audit")


def guards(table: str, dialect: str) -> list[str]:
    """Statements that make `table` append-only."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        "CREATE OR REPLACE FUNCTION evenhand_append_only() RETURNS trigger AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$ LANGUAGE plpgsql",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION evenhand_append_only()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION evenhand_append_only()",
    ]


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "draws",
        sa.Column("draw_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("draw_id"),
    )
    op.create_table(
        "live_models",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "policies",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=32), nullable=False),
        sa.Column("added_at", Utc(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("markets", sa.JSON(), nullable=False),
        sa.Column("languages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "drawn_items",
        sa.Column("draw_id", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("pi", sa.Float(precision=53), nullable=False),
        sa.Column("p_overturn", sa.Float(precision=53), nullable=False),
        sa.Column("take_all", sa.Boolean(), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("market", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("moderator_id", sa.Text(), nullable=False),
        sa.Column("decided_at", Utc(), nullable=False),
        sa.Column("predicted_label", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("explanation", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draw_id"],
            ["draws.draw_id"],
        ),
        sa.PrimaryKeyConstraint("draw_id", "decision_id"),
        sa.UniqueConstraint("draw_id", "position"),
    )
    op.create_table(
        "rulings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("content_hash", sa.String(length=32), nullable=False),
        sa.Column("decision_id", sa.String(length=16), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("sme_id", sa.Text(), nullable=False),
        sa.Column("ruled_at", Utc(), nullable=False),
        sa.Column("decision_moderator_id", sa.Text(), nullable=True),
        sa.Column("error_class", sa.String(length=32), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(precision=53), nullable=True),
        sa.Column("rationale", sa.Text(), nullable=True),
        sa.Column("draw_id", sa.String(length=64), nullable=True),
        sa.Column("replaces", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("seconds", sa.Float(precision=53), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["draw_id"],
            ["draws.draw_id"],
        ),
        sa.ForeignKeyConstraint(
            ["replaces"],
            ["rulings.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("content_hash"),
    )
    with op.batch_alter_table("rulings", schema=None) as batch_op:
        batch_op.create_index("ix_rulings_draw", ["draw_id", "decision_id"], unique=False)
        corrections = sa.text("replaces IS NOT NULL")
        batch_op.create_index(
            "ix_rulings_replaces",
            ["replaces"],
            unique=False,
            sqlite_where=corrections,
            postgresql_where=corrections,
        )

    op.create_table(
        "skips",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("draw_id", sa.String(length=64), nullable=False),
        sa.Column("decision_id", sa.String(length=16), nullable=False),
        sa.Column("sme_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draw_id"],
            ["draws.draw_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("skips", schema=None) as batch_op:
        batch_op.create_index("ix_skips_draw", ["draw_id", "decision_id"], unique=False)

    op.create_table(
        "ruling_undos",
        sa.Column("ruling_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ruling_id"],
            ["rulings.id"],
        ),
        sa.PrimaryKeyConstraint("ruling_id"),
    )
    for table in APPEND_ONLY:
        for statement in guards(table, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
        op.execute("DROP FUNCTION evenhand_append_only()")
    op.drop_table("ruling_undos")
    with op.batch_alter_table("skips", schema=None) as batch_op:
        batch_op.drop_index("ix_skips_draw")

    op.drop_table("skips")
    with op.batch_alter_table("rulings", schema=None) as batch_op:
        batch_op.drop_index("ix_rulings_draw")
        batch_op.drop_index("ix_rulings_replaces")

    op.drop_table("rulings")
    op.drop_table("drawn_items")
    op.drop_table("users")
    op.drop_table("policies")
    op.drop_table("live_models")
    op.drop_table("draws")
    op.drop_table("audit")
