"""What is shown was checked: a changed value is an error and never printed."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import DamagedError
from taskbank.history.events import bank_events, task_events
from taskbank.history.matrix import score_matrix
from tests.helpers.adapters import fill_every_table
from tests.helpers.tampering import rewrite


def read_everything(bank: Bank) -> None:
    """Read what `list`, `query` and `history` show."""
    bank.adapters(retired=True)
    bank.query("score >= 0")
    bank_events(bank)
    task_events(bank, "mood")
    score_matrix(bank)
    assert bank["mood@production"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE adapters SET score = 0.99",
        "UPDATE metrics SET value = 0.99",
        "UPDATE tags SET value = 'ads'",
        "UPDATE predictions SET rows = 7",
        "UPDATE tasks SET kind = 'pair'",
        "UPDATE backbones SET parameters = 7",
        "UPDATE retirements SET version = 2",
        "UPDATE aliases SET version = 1",
        "UPDATE acceptances SET reason = 'none'",
        "UPDATE tolerances SET tolerance = 1.0",
        "UPDATE verifications SET checked = 99",
        "UPDATE results SET observed = 0.99",
        "UPDATE results SET status = 'ok'",
        "UPDATE runs SET level = 'canary'",
    ],
)
def test_a_changed_row_is_not_shown(own: Bank, change: str) -> None:
    """The error names the table's row, and what lists all damage."""
    fill_every_table(own)
    own.verification_log.start_run("changed", [], {})
    read_everything(own)
    rewrite(own, change)
    with pytest.raises(DamagedError, match="level integrity lists everything"):
        read_everything(own)
