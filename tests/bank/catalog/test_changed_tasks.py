"""Which tasks have changed since an entry of the chain."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.catalog import changed_tasks as module
from taskbank.bank.open import open_bank
from taskbank.errors import DamagedError
from tests.helpers.adapters import new_adapter
from tests.helpers.tampering import rewrite


def test_each_change_names_its_task(bank: Bank) -> None:
    """A new version, a moved or dropped alias and a retired version name their task, no other."""
    bank.put(new_adapter("calm"))
    bank.put(new_adapter("mood"))
    entry, _ = bank.changed_tasks(0)
    changes = (
        lambda: bank.put(new_adapter("mood", seed=1), new_version=True),
        lambda: bank.alias("mood@1", "production"),
        lambda: bank.alias("mood@2", "production"),
        lambda: bank.drop_alias("mood", "production"),
        lambda: bank.remove("mood@1"),
    )
    for change in changes:
        change()
        newest, changed = bank.changed_tasks(entry)
        assert newest > entry
        assert changed == frozenset({"mood"})
        entry = newest
    assert bank.changed_tasks(entry) == (entry, frozenset())


def test_changes_of_others_are_seen_however_often_one_looks(bank: Bank) -> None:
    """Changes by another connection, and by this bank before and after it was closed."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    entry, _ = bank.changed_tasks(0)
    with open_bank(bank.url) as other:
        for number in range(6):
            assert bank.changed_tasks(entry) == (entry, frozenset())
            (other, bank)[number // 3].alias(f"mood@{1 + number % 2}", "production")
            if number == 4:
                bank.close()
            entry, changed = bank.changed_tasks(entry)
            assert changed == frozenset({"mood"})


def test_all_tasks_may_have_changed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A garbage collection, an older copy and very many entries name no task, but any."""
    bank.put(new_adapter("mood"))
    bank.put(new_adapter("mood", seed=1), new_version=True)
    bank.remove("mood@1")
    entry, _ = bank.changed_tasks(0)
    bank.gc(confirm=True)
    newest, changed = bank.changed_tasks(entry)
    assert newest > entry
    assert changed is None
    assert bank.changed_tasks(newest + 1) == (newest, None)
    monkeypatch.setattr(module, "MAX_ENTRIES", 1)
    assert bank.changed_tasks(newest - 2) == (newest, None)


def test_an_entry_that_cannot_be_read_is_damage(own: Bank) -> None:
    """An entry that is no JSON of changes is reported as damage."""
    own.put(new_adapter("mood"))
    entry, _ = own.changed_tasks(0)
    own.alias("mood@1", "production")
    rewrite(own, "UPDATE chain SET changes = '[]'")
    with pytest.raises(DamagedError, match="cannot be read"):
        own.changed_tasks(entry)
