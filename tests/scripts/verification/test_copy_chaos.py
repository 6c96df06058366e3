"""Tests of scripts/verification/copy_chaos.py; tests/bank/test_copy.py kills copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.verification.copy_chaos import compared, expect, make_source
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.verify.integrity import check_integrity
from tests.helpers.bank_content import content_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A bank of two tasks as the script makes it."""
    make_source(tmp_path / "source.db", 2)
    return tmp_path / "source.db"


def test_the_bank_to_copy_is_intact_and_has_every_kind_of_record(source: Path) -> None:
    """No table is empty, so that the comparison compares something."""
    with Bank(source) as bank:
        assert check_integrity(bank).findings == ()
        assert all(content_of(bank).values())


def test_whatever_is_missing_or_there_twice_is_noticed(source: Path) -> None:
    """Nothing is said of a whole copy, and every difference of others."""
    copies = []
    for name in ("whole", "less", "more"):
        with Bank(source) as bank, create_bank(source.with_name(f"{name}.db")) as copy:
            bank.copy_to(copy, task="task-0000" if name == "less" else None)
            if name == "more":
                copy.alias("task-0001@1", "canary")
        copies.append(source.with_name(f"{name}.db"))
    whole, less, more = copies
    assert list(compared(source, whole)) == []
    assert any("has 2 adapters for 4" in problem for problem in compared(source, less))
    assert list(compared(source, more)) == [f"{more} has 3 aliases for 2, or others"]


def test_a_command_that_failed_is_noticed() -> None:
    """An exit code, a traceback and missing words are each a problem."""
    assert list(expect("what copied\nversions 2\n", "versions")) == []
    for said in ("nothing to copy", "versions\nexit code 3", "versions\nTraceback (most recent"):
        assert len(list(expect(said, "versions"))) == 1
