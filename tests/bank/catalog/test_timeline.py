"""The timeline of a bank and of a task, on every database."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.tables import AliasRow
from taskbank.bank.records import TimelineEntry
from taskbank.errors import DamagedError, InputError, NotFoundError
from tests.helpers.adapters import new_adapter
from tests.helpers.tampering import without_triggers
from tests.helpers.verifications import observe


@pytest.fixture
def busy(bank: Bank) -> Bank:
    """A bank in which something of every sort has happened, in a known order."""
    bank.put(new_adapter("a"))
    bank.put(new_adapter("b"))
    bank.alias("a@1", "production")
    observe(bank, a=0.5, b=0.5)
    bank.put(new_adapter("a", seed=1), new_version=True)
    bank.alias("a@2", "production")
    bank.set_tolerance("a", 0.02)
    bank.remove("a@1")
    bank.drop_alias("a", "production")
    return bank


def told(entries: tuple[TimelineEntry, ...]) -> list[tuple[str, str | None, int | None]]:
    """Return what each entry says of which version."""
    return [(entry.what, entry.task, entry.version) for entry in entries]


def test_everything_that_happened_is_told_newest_first(busy: Bank) -> None:
    """Additions, aliases, retirements, tolerances and verifications are in one order."""
    entries = busy.timeline(limit=50).entries
    assert told(entries) == [
        ("alias", "a", None),
        ("retired", "a", 1),
        ("tolerance", "a", None),
        ("alias", "a", 2),
        ("added", "a", 2),
        ("verified", None, None),
        ("alias", "a", 1),
        ("added", "b", 1),
        ("added", "a", 1),
    ]
    verified = entries[5]
    assert (verified.verification, verified.text, verified.checked) == (1, "full", 2)
    assert entries[2].tolerance == 0.02
    assert [entry.at for entry in entries] == sorted((e.at for e in entries), reverse=True)


def test_a_task_has_its_own_entries_and_its_results(busy: Bank) -> None:
    """Of one task only its own entries are told, and a verification with its score."""
    entries = busy.timeline(task="b", limit=50).entries
    assert told(entries) == [("verified", "b", 1), ("added", "b", 1)]
    assert entries[0].score == 0.5
    with pytest.raises(NotFoundError, match="nothing"):
        busy.timeline(task="nothing", limit=5)


@pytest.mark.parametrize("task", [None, "a"])
@pytest.mark.parametrize("limit", [1, 2, 4])
def test_pages_follow_each_other(busy: Bank, task: str | None, limit: int) -> None:
    """Short pages together are the one long page, also when something happens in between."""
    whole = busy.timeline(task=task, limit=50)
    found: list[TimelineEntry] = []
    before = None
    while True:
        page = busy.timeline(task=task, before=before, limit=limit)
        found += page.entries
        busy.put(new_adapter(f"new-{len(found)}"))
        before = page.next
        if before is None:
            break
    assert tuple(found) == whole.entries
    assert whole.next is None


@pytest.mark.parametrize("before", ["", "1", "x", "1-2-3-4-5-6-7", "9999999999-1-1-1-1-1", "1--1"])
def test_a_page_that_was_never_offered_is_refused(busy: Bank, before: str) -> None:
    """A text that is no end of a page is an error that says what to do."""
    with pytest.raises(InputError, match="follow the links"):
        busy.timeline(before=before, limit=5)


def test_a_changed_row_is_noticed(busy: Bank) -> None:
    """An alias that was moved behind the bank's back is damage, not history."""
    with without_triggers(busy) as connection:
        connection.execute(update(AliasRow).where(AliasRow.id == 1).values(version=2))
    with pytest.raises(DamagedError, match="aliases"):
        busy.timeline(limit=50)
