"""Runs the migrations on a connection that taskbank.bank.catalog.migrate hands over."""

from alembic import context

from taskbank.bank.catalog.tables import Base


def _run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        raise SystemExit("run the migrations through taskbank: taskbank --bank URL db upgrade")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # The caller's one transaction covers everything, on SQLite too.
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
