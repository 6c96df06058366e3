"""The chain has one entry for each transaction that recorded something."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import select

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.chain import head_of
from taskbank.bank.catalog.database import write_transaction
from taskbank.bank.catalog.seals import family_seal
from taskbank.bank.catalog.tables import FAMILIES, SEALED_TABLES, ChainRow
from taskbank.digests import digest_json
from taskbank.errors import ConflictError, DamagedError
from taskbank.verify.verify import verify_all
from tests.helpers.adapters import fill_every_table, new_adapter
from tests.helpers.tampering import rewrite


def entries(bank: Bank) -> list[tuple[int, str, dict[str, Any], str]]:
    """Return the entries of the chain."""
    with bank._engine.connect() as connection:
        query = select(ChainRow.id, ChainRow.at, ChainRow.changes, ChainRow.head)
        rows = connection.execute(query.order_by(ChainRow.id)).all()
    return [(number, at, json.loads(changes), head) for number, at, changes, head in rows]


def test_each_write_extends_the_chain_by_one_entry(bank: Bank) -> None:
    """Every writing method appends one entry, with the head of the one before it in its own."""
    before = bank.head()
    bank.put(new_adapter())
    bank.alias("mood@1", "production")
    bank.set_tolerance("mood", 0.1)
    bank.drop_alias("mood", "production")
    bank.remove("mood@1")
    bank.gc(confirm=True)
    found = entries(bank)
    assert len(found) == before.entries + 6
    previous = ""
    for number, (row_id, at, _, head) in enumerate(found, start=1):
        assert row_id == number
        with bank._engine.connect() as connection:
            query = select(ChainRow.changes).where(ChainRow.id == number)
            changes = connection.execute(query).scalar_one()
        assert head == head_of(previous, number, at, changes)
        previous = head
    assert bank.head().digest == previous
    assert bank.head().entries == len(found)


def test_an_entry_lists_the_rows_that_were_inserted_and_deleted(bank: Bank) -> None:
    """By table and id, each sealed row is listed when it is recorded, and when gc deletes it."""
    record = bank.put(new_adapter())
    _, _, added, _ = entries(bank)[-1]
    for table in ("tasks", "backbones", "adapters", "splits"):
        assert len(added["inserted"][table]) == 1
    assert added["deleted"] == {}
    bank.remove("mood@1")
    bank.gc(confirm=True)
    _, _, gone, _ = entries(bank)[-1]
    (split,) = added["inserted"]["splits"]
    assert gone == {"inserted": {}, "deleted": {"adapters": [record.id], "splits": [int(split)]}}


def test_every_sealed_table_is_covered(bank: Bank) -> None:
    """A bank with a row in each table lists every row of every sealed table."""
    fill_every_table(bank)
    listed: dict[str, set[int]] = {}
    for _, _, changes, _ in entries(bank):
        for table, rows in changes["inserted"].items():
            listed.setdefault(table, set()).update(map(int, rows))
    for model in SEALED_TABLES:
        with bank._engine.connect() as connection:
            ids = set(connection.execute(select(model.__table__.c.id)).scalars())
        assert ids
        assert listed[model.__tablename__] == ids
    assert set(FAMILIES) <= listed.keys()


def test_what_records_nothing_appends_nothing(bank: Bank) -> None:
    """A refused write, a write that rolls back and one that changes nothing leave the head."""
    bank.put(new_adapter())
    head = bank.head()
    with pytest.raises(ConflictError):
        bank.put(new_adapter())
    bank.add_backbone(new_adapter().backbone)
    bank.gc()
    bank.gc(confirm=True)
    with pytest.raises(ZeroDivisionError), write_transaction(bank._engine):
        _ = 1 / 0
    assert bank.head() == head


def test_writers_at_once_extend_one_chain(bank: Bank) -> None:
    """Six threads that record adapters and aliases at once make one chain without a gap."""
    bank.put(new_adapter("shared"))
    before = bank.head().entries
    failures: list[BaseException] = []

    def write(name: str) -> None:
        try:
            with Bank(bank.url) as own:
                for seed in range(4):
                    own.put(new_adapter(name, seed=seed), new_version=True)
                    own.alias("shared@1", name)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(f"task{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert [number for number, *_ in entries(bank)] == list(range(1, before + 49))
    assert verify_all(bank, level="integrity").findings == ()


def test_a_row_that_a_trigger_swallows_is_an_error(own: Bank) -> None:
    """What the database leaves out without an error is not taken for recorded."""
    own.put(new_adapter())
    with own._engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER own BEFORE INSERT ON tolerances BEGIN SELECT RAISE(IGNORE); END"
        )
    with pytest.raises(DamagedError, match="did not store a row of table 'tolerances'"):
        own.set_tolerance("mood", 0.1)


def test_a_bank_without_its_chain_has_no_head(own: Bank) -> None:
    """An emptied chain is an error where the head is asked for."""
    rewrite(own, "DELETE FROM chain")
    with pytest.raises(DamagedError, match="chain is empty"):
        own.head()


@pytest.mark.parametrize("tables", [{}, {"tags": 0, "metrics": 0}, {"a": 2, "b": 0, "c": 1}])
def test_the_digest_of_a_family_is_that_of_its_canonical_json(tables: dict[str, int]) -> None:
    """It is written piece by piece, and has the same bytes as if it were written at once."""
    rows = {
        name: [{"id": 7 - number, "key": f'"{number}', "none": None} for number in range(count)]
        for name, count in tables.items()
    }
    whole = {
        name: [[row["id"], {"key": row["key"], "none": None}] for row in own]
        for name, own in rows.items()
        if own
    }
    streams = {name: iter(own) for name, own in reversed(rows.items())}
    assert family_seal('s"', streams) == digest_json(['s"', whole])
