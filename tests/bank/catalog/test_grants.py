"""A PostgreSQL role with the granted rights does all normal work, and can do nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import Base
from taskbank.bank.open import create_bank, grant_role, upgrade_bank
from taskbank.cli.main import run
from taskbank.errors import InputError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import fill_every_table, new_adapter

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def role(postgresql: str) -> Iterator[str]:
    """A new role, with a name that has to be quoted."""
    name = f'Task Writer "{uuid4().hex[:8]}"'
    quoted = '"' + name.replace('"', '""') + '"'
    engine = create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {quoted} LOGIN PASSWORD 'x'")
        yield name
    engine.dispose()


@pytest.fixture(scope="module")
def restricted(new_database: Callable[[], str], role: str) -> Iterator[Bank]:
    """A bank, opened as that role, in which everything has happened."""
    url = new_database()
    create_bank(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:  # servers before version 15 let everybody create tables
        connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    engine.dispose()
    grant_role(url, role)
    own = make_url(url).set(username=role, password="x").render_as_string(hide_password=False)
    with Bank(own) as bank:
        yield fill_every_table(bank)


def test_normal_work_is_allowed(restricted: Bank) -> None:
    """Recording, aliases, retiring, verifying with a record, accepting and reading."""
    restricted.put(new_adapter("again"))
    restricted.put(new_adapter("again", seed=1), new_version=True)
    restricted.alias("again@2", "production")
    restricted.drop_alias("again", "production")
    restricted.remove("again@1")
    assert restricted["again"].version == 2
    report = verify_all(restricted, level="integrity")
    assert report.findings == ()
    assert report.id is not None
    assert restricted.gc().adapters


@pytest.mark.parametrize("table", [*Base.metadata.tables, "alembic_version"])
def test_no_row_of_any_table_can_be_changed(restricted: Bank, table: str) -> None:
    """UPDATE, DELETE, TRUNCATE and every change of a table are refused for want of rights."""
    column = "version_num" if table == "alembic_version" else None
    column = column or str(next(iter(Base.metadata.tables[table].columns)).name)
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"ALTER TABLE {table} ADD COLUMN more text",
        f"CREATE TRIGGER own BEFORE INSERT ON {table} EXECUTE FUNCTION bank_refuse_change()",
        f"SELECT * FROM {table} FOR UPDATE",
    ):
        assert refused(restricted, statement) == "42501", statement


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE own (id int)",
        "CREATE FUNCTION own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION tags_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NEW; END $$",
        "DROP FUNCTION tags_refuse_change() CASCADE",
        "DROP INDEX ix_tags_key_value",
        "INSERT INTO gc_permits VALUES (1)",
        "SET session_replication_role = replica",
        "SELECT setval('adapters_id_seq', 1)",
    ],
)
def test_what_protects_the_rows_cannot_be_changed(restricted: Bank, statement: str) -> None:
    """Tables, functions, indexes, permits and settings are out of reach."""
    assert refused(restricted, statement) == "42501"


def refused(bank: Bank, statement: str) -> str:
    """Return PostgreSQL's code for the refusal of a statement; fail if it is not refused."""
    with pytest.raises(DBAPIError) as caught, bank._engine.begin() as connection:
        connection.execute(text(statement))
    return str(getattr(caught.value.orig, "sqlstate", ""))


def test_the_owner_s_work_is_refused_with_what_to_do(restricted: Bank, role: str) -> None:
    """Destroying and granting are input errors that name the owner, and change nothing."""
    head = restricted.head()
    for work in (
        lambda: restricted.gc(confirm=True),
        lambda: grant_role(restricted.url, role),
    ):
        with pytest.raises(InputError):
            work()
    assert upgrade_bank(restricted.url)  # there is nothing to do
    assert restricted.head() == head


def test_a_role_is_named_by_someone_who_knows_it(
    new_database: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A role that does not exist and one that owns the tables are bad input."""
    url = new_database()
    create_bank(url).close()
    assert run(["--bank", url, "db", "grant", "nobody-there"]) == 2
    assert "has no role 'nobody-there'" in capsys.readouterr().err
    assert run(["--bank", url, "db", "grant", str(make_url(url).username)]) == 2
    assert "owns the bank's tables" in capsys.readouterr().err


def test_a_sqlite_bank_has_no_roles(own: Bank) -> None:
    """Whoever can write the file can do anything with it."""
    with pytest.raises(InputError, match="file permissions"):
        grant_role(own.url, "somebody")
