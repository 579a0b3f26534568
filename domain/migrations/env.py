"""What Alembic runs: the migrations on the connection it is given, within the transaction of who gives it."""

from alembic import context

from domain.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
