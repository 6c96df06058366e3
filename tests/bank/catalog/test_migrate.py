"""The migrations, and that they make the tables that the code expects, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Engine, inspect, text

from taskbank.bank.bank import Bank
from taskbank.bank.catalog import adapters
from taskbank.bank.catalog.database import connect, prepare_sqlite, write_transaction
from taskbank.bank.catalog.migrate import downgrade, migrations_folder, upgrade
from taskbank.bank.catalog.structure import check_tables, structure_damages
from taskbank.bank.catalog.tables import SCHEMA_REVISION, SCHEMA_REVISIONS, Base
from taskbank.bank.catalog.triggers import trigger_damages
from taskbank.bank.open import create_bank, schema_of, upgrade_bank
from taskbank.errors import SchemaError
from taskbank.kinds.definition import Definition
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import LABELS, new_adapter, new_trial, record_finding


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
    with write_transaction(engine) as connection:
        upgrade(connection)
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": _other_default},
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.slow
def test_migrations_leave_nothing_behind_on_the_way_down(engine: Engine) -> None:
    """Up, down to nothing and up again works, and down leaves neither tables nor functions."""
    with write_transaction(engine) as connection:
        upgrade(connection)
        downgrade(connection, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        if engine.dialect.name == "postgresql":
            own = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            assert connection.execute(text(own)).scalar() == 0
        upgrade(connection)
    engine.dispose()


def test_a_new_bank_has_the_triggers_and_structure_that_are_checked(bank: Bank) -> None:
    """What the integrity check expects, word for word, is what the migrations make."""
    with bank._engine.connect() as connection:
        check_tables(connection)
        assert list(trigger_damages(connection)) == []
        assert list(structure_damages(connection)) == []


def _older(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a bank with an adapter as the first schema had it: the environment holds how the
    training went."""
    today = adapters.adapter_values

    def earlier(*given: Any) -> dict[str, Any]:
        values = today(*given)
        environment = values["environment"] | values["course"] | {"asked": values["request"]}
        return values | {"environment": environment, "course": None, "request": None}

    monkeypatch.setattr(adapters, "adapter_values", earlier)
    with create_bank(url) as bank:
        new = new_adapter(definition=Definition(LABELS))
        bank.put(replace(new, splits=tuple(replace(one, canary=()) for one in new.splits)))
        assert verify_all(bank, level="integrity").ok
        with write_transaction(bank._engine) as connection:
            downgrade(connection, "0001")
    monkeypatch.undo()


@pytest.mark.slow
def test_a_bank_of_an_older_taskbank_is_refused_until_upgraded(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known older schema is an error that names `taskbank db upgrade`; upgraded, everything
    in it is what was recorded, and it takes what the newer schema has."""
    _older(url, monkeypatch)
    with pytest.raises(SchemaError, match="taskbank db upgrade"):
        Bank(url)
    assert upgrade_bank(url) == "0001"
    with Bank(url) as bank:
        assert verify_all(bank, level="integrity").ok
        assert bank["mood"].definition == Definition(LABELS)
        assert bank.weights(bank["mood"]) == new_adapter().weights
        assert bank["mood"].environment == new_adapter().environment
        assert bank["mood"].course == new_adapter().course
        assert bank["mood"].request == new_adapter().request
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
            write_transaction(bank._engine) as connection,
        ):
            downgrade(connection, "0001")
        report = verify_all(bank, level="integrity")
        assert {finding.check for finding in report.findings} <= {"empty"}
    assert schema_of(url) == SCHEMA_REVISION
