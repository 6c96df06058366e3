"""Creates and upgrades the tables of a bank; the only module that imports alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrations_folder() -> Path:
    """Return the folder of migrations: inside an installed package, else in the repository."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Upgrade a bank's tables to a revision.

    Args:
        connection: the write transaction that contains the whole upgrade.
        revision: the target revision; `head` is the newest.
    """
    command.upgrade(_config(connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Downgrade a bank's tables to a revision.

    Args:
        connection: the write transaction that contains the whole downgrade.
        revision: the target revision; `base` removes all tables.
    """
    command.downgrade(_config(connection), revision)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
