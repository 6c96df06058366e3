"""Copies of a small bank, each to be tampered with once, and what commands say of a copy."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, make_url

from scripts.verification.attacks.victim import make_victim
from taskbank.cli.main import run

BUG = 70
READING = (
    ("list", "--retired", "--json"),
    ("query", "score >= 0", "--json"),
    ("history", "--json"),
    ("history", "one", "--json"),
    ("alias", "one", "--json"),
)

Statement = tuple[str, Sequence[object]]


class Copies:
    """A bank with a row in every table, of which copies are made.

    Args:
        folder: holds the bank and its copies on SQLite.
        server: the URL of a PostgreSQL server whose user is a superuser; None means SQLite.
    """

    def __init__(self, folder: Path, server: str | None = None) -> None:
        self._folder = folder
        self._server = server
        self._databases: list[str] = []  # the original first
        self.original = self._new_url()
        with make_victim(self.original) as bank:
            self.head = bank.head()
        self.said = self.read(self.original)

    @property
    def on_sqlite(self) -> bool:
        """Whether the copies are on SQLite."""
        return self._server is None

    def copy(self) -> str:
        """Return the URL of a new copy."""
        if self._server is None:
            url = f"sqlite:///{self._folder}/copy.db"
            for suffix in ("", "-wal", "-shm"):
                Path(f"{_file(url)}{suffix}").unlink(missing_ok=True)
            shutil.copy(_file(self.original), _file(url))
            return url
        return self._new_url()

    def _new_url(self) -> str:
        if self._server is None:
            return f"sqlite:///{self._folder}/victim-{uuid4().hex}.db"
        name = f"taskbank_attack_{uuid4().hex}"
        template = f" TEMPLATE {self._databases[0]}" if self._databases else ""
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for old in self._databases[1:]:
                connection.exec_driver_sql(f"DROP DATABASE {old} WITH (FORCE)")
            connection.exec_driver_sql(f"CREATE DATABASE {name}{template}")
        engine.dispose()
        self._databases = [*self._databases[:1], name]
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def tamper(self, url: str, statements: Sequence[Statement], *, guarded: bool = False) -> None:
        """Run SQL on a copy.

        Args:
            url: the copy.
            statements: the SQL, with `?` on SQLite and `%s` on PostgreSQL for parameters.
            guarded: whether the triggers stay as they are, because the SQL is about them;
                otherwise they are put aside meanwhile, as the owner of a database can.
        """
        if self._server is None:
            _tamper_sqlite(_file(url), statements, guarded)
            return
        import psycopg

        address = make_url(url).set(drivername="postgresql")
        with psycopg.connect(address.render_as_string(hide_password=False)) as connection:
            if not guarded:
                connection.execute("SET session_replication_role = replica")
            for statement, values in statements:
                connection.execute(statement.encode(), list(values) or None)

    def fetch(self, url: str, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query, with texts as bytes on SQLite, where they may be none."""
        if self._server is None:
            with closing(sqlite3.connect(_file(url))) as connection:
                connection.text_factory = bytes
                return connection.execute(query).fetchall()
        engine = create_engine(url)
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.exec_driver_sql(query)]
        engine.dispose()
        return rows

    def read(self, url: str) -> list[tuple[int, str]]:
        """Return the exit code and the output of each reading command."""
        return [command(url, *arguments) for arguments in READING]

    def verify(self, url: str, *arguments: str) -> tuple[int, str]:
        """Return the exit code and the output of verify-all at level integrity."""
        return command(url, "verify-all", "--level", "integrity", *arguments)


def command(url: str, *arguments: str) -> tuple[int, str]:
    """Return the exit code of a command and what it printed, or the defect that ended it."""
    output, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(output), redirect_stderr(errors):
        code = run(["--bank", url, *arguments])
    for stream in (output, errors):
        stream.flush()
        stream.seek(0)
    return code, errors.read()[-400:] if code == BUG else output.read()


def outcome_of(
    copies: Copies, url: str, *arguments: str, whole_rows: bool = False
) -> tuple[str, bool]:
    """Return what commands made of a tampered copy, in a few words, and whether that is wrong.

    Reading commands may show less than of the untouched bank, because only a check of the whole
    bank sees that something is missing, but nothing else.

    Args:
        copies: the untouched bank.
        url: the tampered copy.
        arguments: further arguments of verify-all.
        whole_rows: whether rows were lost, added or exchanged, which reading commands cannot see.
    """
    for words, (code, said), intact in zip(READING, copies.read(url), copies.said, strict=True):
        if code == BUG:
            return f"{words[0]} exits with 70: {said}", True
        if code == 0 and not whole_rows and not _entries(said) <= _entries(intact[1]):
            return f"{words[0]} shows it and says nothing", True
    code, said = copies.verify(url, *arguments)
    told = f": {said}" if code == BUG else ""
    return f"verify-all exits with {code}{told}", code not in (1, 3)


def _entries(said: str) -> set[str]:
    """Return the entries of printed JSON, without whether they are retired."""
    shown = json.loads(said)
    entries = shown["history"] if isinstance(shown, dict) else shown
    return {json.dumps(entry).replace(", now retired", "") for entry in entries}


def _tamper_sqlite(file: Path, statements: Sequence[Statement], guarded: bool) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = [] if guarded else connection.execute(query).fetchall()
        for name, _ in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        for statement, values in statements:
            connection.execute(statement, tuple(values))
        for _, sql in triggers:
            connection.execute(sql)


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
