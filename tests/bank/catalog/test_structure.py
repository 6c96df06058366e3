"""Missing or weakened tables, keys and indexes are found, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.errors import DamagedError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import new_adapter
from tests.helpers.findings import messages
from tests.helpers.tampering import rewrite


def run(bank: Bank, *statements: str) -> None:
    """Change the schema of a bank behind its back."""
    with bank._engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    bank.close()


def test_a_lost_index_is_found(bank: Bank) -> None:
    """Dropped, and made again on another column or for some rows only."""
    bank.put(new_adapter())
    for again in (
        None,
        "CREATE INDEX ix_tags_key_value ON tags (key)",
        "CREATE INDEX ix_tags_key_value ON tags (key, value) WHERE id < 0",
    ):
        run(bank, "DROP INDEX IF EXISTS ix_tags_key_value", *([again] if again else []))
        report = verify_all(bank, level="integrity")
        assert "table 'tags' lacks its index ix_tags_key_value (key, value)" in messages(report)


def test_a_lost_table_or_column_is_an_error(bank: Bank) -> None:
    """Nothing can be checked then; the error names what is missing."""
    bank.put(new_adapter())
    run(bank, "ALTER TABLE tolerances RENAME COLUMN set_at TO moved_at")
    with pytest.raises(DamagedError, match="column 'set_at' of table 'tolerances' is missing"):
        verify_all(bank, level="integrity")
    run(bank, "DROP TABLE tolerances")
    with pytest.raises(DamagedError, match="table 'tolerances' is missing"):
        verify_all(bank, level="integrity")


def test_rows_that_refer_to_nothing_are_found(own: Bank) -> None:
    """A foreign key without its row, and a permit that was left for deleting rows."""
    own.put(new_adapter())
    rewrite(own, "UPDATE metrics SET adapter_id = 7")
    rewrite(own, "INSERT INTO gc_permits VALUES (7)")
    said = messages(verify_all(own, level="integrity"))
    assert "of table 'metrics', row 1 first, refer by 'adapter_id' to rows of table" in said
    assert "'gc_permits' has rows" in said


@pytest.mark.server
@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE RULE lost AS ON INSERT TO aliases DO INSTEAD NOTHING", "has a rule"),
        ("ALTER TABLE adapters ENABLE ROW LEVEL SECURITY", "row security"),
        ("ALTER TABLE tags DISABLE TRIGGER ALL", "foreign key that is not enforced"),
        ("ALTER TABLE tags DROP CONSTRAINT uq_tags_adapter_id_key", "unique constraint"),
        ("ALTER TABLE tags DROP CONSTRAINT fk_tags_adapter_id_adapters", "its foreign key"),
        ("ALTER TABLE tags ALTER COLUMN value DROP NOT NULL", "may be empty"),
    ],
)
def test_a_weakened_table_of_postgresql_is_found(
    new_database: Callable[[], str], statement: str, says: str
) -> None:
    """Rules, row security, and keys that are gone or not enforced."""
    with create_bank(new_database()) as bank:
        bank.put(new_adapter())
        run(bank, statement)
        assert says in messages(verify_all(bank, level="integrity"))
