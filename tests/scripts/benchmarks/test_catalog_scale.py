"""Tests of scripts/benchmarks/catalog_scale.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.benchmarks.catalog_scale import (
    OPERATIONS,
    Timing,
    read_timings,
    table,
    time_bank,
    write_timings,
)
from scripts.benchmarks.synthetic_bank import fill
from taskbank.bank.open import create_bank


def test_timings_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A file of timings gives back every repetition of every operation, in microseconds."""
    timings = [Timing("list", "sqlite", 100, [1.5, 2.25]), Timing("list", "mlflow", 100, [30.125])]
    write_timings(tmp_path / "scale.csv", timings)
    assert read_timings(tmp_path / "scale.csv") == timings


@pytest.mark.process
def test_every_operation_is_timed_on_a_filled_bank(tmp_path: Path) -> None:
    """Each operation succeeds on a bank of 400 adapters, and has a row in the table."""
    with create_bank(f"sqlite:///{tmp_path / 'bank.db'}") as bank:
        fill(bank, 400)
        timings = list(time_bank(bank, "sqlite", 400, 2))
    assert [one.operation for one in timings] == list(OPERATIONS)
    assert [len(one.milliseconds) for one in timings] == [2, 2, 2, 2, 5, 5]
    assert all(row in table(timings) for row in OPERATIONS.values())


def test_the_table_has_the_ratio_of_mlflow_to_sqlite() -> None:
    """An operation of 20 ms beside one of 2 ms is 10 times as slow."""
    timings = [Timing("query", "sqlite", 100, [2.0]), Timing("query", "mlflow", 100, [20.0])]
    (row,) = (line for line in table(timings).splitlines() if OPERATIONS["query"] in line)
    assert row.split("|")[-2].strip() == "10.0×"
