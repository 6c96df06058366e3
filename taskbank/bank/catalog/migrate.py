"""Creates and upgrades the tables of a bank; the only module that imports alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrations_folder() -> Path:
    """Return the folder of migrations: in the package if installed, else in the repository."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring a bank's tables to a revision.

    Args:
        connection: a `writing` transaction, which covers all of it.
        revision: `head`, or a revision to stop at.
    """
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Take a bank's tables back to a revision; `base` leaves none.

    Args:
        connection: a `writing` transaction, which covers all of it.
        revision: the one to go back to.
    """
    command.downgrade(_config(connection), revision)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
