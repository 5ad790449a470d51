"""What Alembic runs: the revisions, on the connection and in the transaction that it was handed."""

from alembic import context

from tunesmith.store.tables import metadata

connection = context.config.attributes["connection"]
# SQLite changes a column only by copying its table.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
context.run_migrations()
