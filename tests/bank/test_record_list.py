"""Lists of records."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.bank.record_list import Records
from taskbank.errors import InputError
from tests.helpers.adapters import new_adapter


def test_records_sort_filter_and_tabulate(bank: Bank) -> None:
    """Records are an immutable sequence, and a frame has a column a metric and a tag."""
    for seed in range(4):
        bank.put(new_adapter(f"task{seed}", seed=seed))
    records = bank.adapters()
    by_score = records.sort("score", descending=True)
    assert [r.score for r in by_score] == sorted((r.score for r in records), reverse=True)
    assert isinstance(records.filter(lambda r: r.task == "task2"), Records)
    assert records.filter(lambda r: r.task == "task2")[0].ref == "task2@1"
    with pytest.raises(InputError, match="cannot be sorted"):
        records.sort("labels")
    with pytest.raises(AttributeError):
        records[0].score = 1.0  # type: ignore[misc]
    frame = records.to_pandas()
    assert list(frame["task"]) == [f"task{seed}" for seed in range(4)]
    assert list(frame["metric.test.accuracy"]) == [r.score for r in records]
    assert set(frame["tag.team"]) == {"search"}
