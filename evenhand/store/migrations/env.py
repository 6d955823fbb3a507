"""Alembic environment: runs on the connection that `evenhand.store.schema` hands in."""

from alembic import context

from evenhand.store.schema import VERSION_TABLE
from evenhand.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
