"""The migrations, and that they make the tables that the code expects, on both databases."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Engine, inspect, text

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import connect, prepare_sqlite, writing
from taskbank.bank.catalog.migrate import downgrade, migrations_folder, upgrade
from taskbank.bank.catalog.tables import SCHEMA_REVISION, SCHEMA_REVISIONS, Base
from taskbank.bank.catalog.triggers import expected_triggers
from taskbank.bank.open import create_bank, schema_of, upgrade_bank
from taskbank.errors import InputError, NotFoundError, SchemaError
from taskbank.kinds.definition import Definition
from taskbank.verify.verify import verify_all
from tests.helpers.making import LABELS, new_adapter, new_trial, record_finding


@pytest.fixture
def engine(url: str) -> Engine:
    """An engine for an empty database."""
    made = connect(url)
    prepare_sqlite(made)
    return made


def test_the_code_knows_the_newest_migration() -> None:
    """The constant that answers without alembic is the head of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == SCHEMA_REVISION
    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == SCHEMA_REVISIONS


def _other_default(
    _context: object, _there: object, column: Column[object], there: str | None, *wanted: object
) -> bool | None:
    """Return whether a JSON column's default is another; of other types alembic sees itself."""
    if not isinstance(column.type, JSON):
        return None  # PostgreSQL, which alembic asks, cannot compare JSON
    return (there or "").removesuffix("::json").strip("'") != str(wanted[1] or "").strip("'")


def test_migrated_tables_are_those_of_the_models(engine: Engine) -> None:
    """Alembic finds no difference between a migrated database and the models."""
    with writing(engine) as connection:
        upgrade(connection)
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": _other_default},
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_leave_nothing_behind_on_the_way_down(engine: Engine) -> None:
    """Up, down to nothing and up again works, and down leaves neither tables nor functions."""
    with writing(engine) as connection:
        upgrade(connection)
        downgrade(connection, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        if engine.dialect.name == "postgresql":
            own = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            assert connection.execute(text(own)).scalar() == 0
        upgrade(connection)
    engine.dispose()


def test_a_new_bank_has_every_trigger_and_no_other(bank: Bank) -> None:
    """What the integrity check expects is what the migrations make."""
    with bank.engine.connect() as connection:
        sqlite = bank.engine.dialect.name == "sqlite"
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            if sqlite
            else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        )
        found = set(connection.execute(text(query)).scalars())
    assert found == expected_triggers(bank.engine.dialect.name)


def test_making_a_bank_twice_opens_the_first(url: str) -> None:
    """The second call finds the bank and changes nothing."""
    with create_bank(url) as first, create_bank(url) as second:
        assert first.catalog.bank() == second.catalog.bank()


def _set_revision(url: str, revision: str) -> None:
    with writing(connect(url)) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_a_bank_of_a_newer_taskbank_is_refused(url: str) -> None:
    """An unknown schema is an error that says to upgrade taskbank, also from `db upgrade`."""
    create_bank(url).close()
    _set_revision(url, "9999")
    with pytest.raises(SchemaError, match="upgrade this one with pip") as caught:
        Bank(url)
    assert caught.value.exit_code == 3
    with pytest.raises(SchemaError, match="newer taskbank"):
        upgrade_bank(url)
    assert schema_of(url) == "9999"


def _older(url: str) -> None:
    """Make a bank with an adapter as the first schema had it."""
    with create_bank(url) as bank:
        new = new_adapter(definition=Definition(LABELS))
        bank.put(replace(new, splits=tuple(replace(one, canary=()) for one in new.splits)))
        assert verify_all(bank, level="integrity").ok
        with writing(bank.engine) as connection:
            downgrade(connection, "0001")


def test_a_bank_of_an_older_taskbank_is_refused_until_upgraded(url: str) -> None:
    """A known older schema is an error that names `taskbank db upgrade`; upgraded, everything
    in it is what was recorded, and it takes what the newer schema has."""
    _older(url)
    with pytest.raises(SchemaError, match="taskbank db upgrade"):
        Bank(url)
    assert upgrade_bank(url) == "0001"
    with Bank(url) as bank:
        assert verify_all(bank, level="integrity").ok
        assert bank["mood"].definition == Definition(LABELS)
        assert bank["mood"].weights() == new_adapter().weights
        bank.put(new_adapter("other", seed=1))
        bank.put_trial(new_trial())
        assert verify_all(bank, level="integrity").ok


@pytest.mark.parametrize("what", ["settings", "trial", "verification"])
def test_a_schema_is_not_taken_back_where_that_would_lose_something(url: str, what: str) -> None:
    """Downgrading a bank that holds what the older schema cannot is refused and changes nothing."""
    with create_bank(url) as bank:
        if what == "settings":
            bank.put(new_adapter())
        elif what == "trial":
            bank.put_trial(new_trial(weights=None))
        else:
            bank.put(new_adapter(definition=Definition(LABELS)))
            record_finding(bank)
        with (
            pytest.raises(RuntimeError, match="cannot hold"),
            writing(bank.engine) as connection,
        ):
            downgrade(connection, "0001")
        assert verify_all(bank, level="integrity").ok
    assert schema_of(url) == SCHEMA_REVISION


def test_upgrading_an_up_to_date_bank_changes_nothing(url: str) -> None:
    """`db upgrade` may be run at any time."""
    create_bank(url).close()
    assert upgrade_bank(url) == SCHEMA_REVISION
    assert schema_of(url) == SCHEMA_REVISION


def test_a_database_without_a_bank_is_not_opened(url: str) -> None:
    """Opening what is not there is an error that says how to make it, and makes nothing."""
    with pytest.raises(NotFoundError, match="taskbank init"):
        Bank(url)
    with pytest.raises(NotFoundError):
        upgrade_bank(url)
    if url.startswith("sqlite"):
        assert not Path(url.removeprefix("sqlite:///")).exists()


def test_a_database_of_something_else_is_left_alone(url: str) -> None:
    """Neither opening nor making a bank touches a database with other tables."""
    engine = connect(url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE invoices (id integer)"))
    for step in (Bank, create_bank):
        with pytest.raises(InputError, match="invoices"):
            step(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["invoices"]


@pytest.mark.parametrize("content", [b"x", b"SQLite", b"\x89PNG" + bytes(500), bytes(4096)])
def test_a_file_that_is_no_database_is_no_bank(tmp_path: Path, content: bytes) -> None:
    """A foreign file is refused with exit code 2, and stays as it is."""
    path = tmp_path / "foreign.db"
    path.write_bytes(content)
    for step in (Bank, create_bank):
        with pytest.raises(InputError, match="is not a bank") as caught:
            step(f"sqlite:///{path}")
        assert caught.value.exit_code == 2
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.99])
def test_a_bank_file_that_was_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    """A truncated bank is refused on opening, wherever it was cut."""
    path = tmp_path / "bank.db"
    create_bank(f"sqlite:///{path}").close()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"cut off|restore"):
        Bank(f"sqlite:///{path}")


def test_a_closed_sqlite_bank_is_one_file_in_write_ahead_mode(tmp_path: Path) -> None:
    """Nothing lies beside the file once the bank is closed, so that it can be copied."""
    path = tmp_path / "bank.db"
    create_bank(f"sqlite:///{path}").close()
    assert [p.name for p in tmp_path.iterdir()] == ["bank.db"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root:hunter2@localhost/x", "unknown kind"),
        ("rubbish", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///x.db?mode=ro", "options after"),
        ("sqlite:///no/such/folder/x.db", "is not a folder"),
        ("postgresql://joe:hunter2@127.0.0.1:9/x", "cannot be reached"),
        ("postgresql+psycopg2://joe:hunter2@127.0.0.1:9/x", "unknown kind"),
        ("postgresql+psycopg://joe:hunter2@[bad", "cannot be reached"),
    ],
)
def test_an_unusable_url_is_refused_without_its_password(url: str, says: str) -> None:
    """Every unusable bank URL is an error with exit code 2 that never shows a password."""
    with pytest.raises(InputError, match=says) as caught:
        create_bank(url)
    assert caught.value.exit_code == 2
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)
