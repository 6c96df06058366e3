"""What counts as a kept promise in the round trips to other libraries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from scripts.verification.round_trips import BOUND, Case, Found, table

GOOD = Found(
    Case("peft", "mean", "single", "lora"),
    same_bytes=True,
    back=0.0,
    alone=3e-7,
    made=2e-7,
    verified=True,
)


def test_every_promise_counts() -> None:
    """Other bytes, any difference after the round trip, a larger difference between libraries
    than the bound, or a finding of the verification is no success."""
    assert GOOD.ok
    broken: list[dict[str, Any]] = [
        {"same_bytes": False},
        {"back": 1e-12},
        {"alone": BOUND * 2},
        {"made": BOUND * 2},
        {"made": float("nan")},
        {"verified": False},
    ]
    assert not any(replace(GOOD, **change).ok for change in broken)


def test_the_table_has_a_line_for_each_case() -> None:
    """A difference of nothing is 0.0, and what broke stands out."""
    lines = table([GOOD, replace(GOOD, same_bytes=False, verified=False)]).splitlines()
    assert len(lines) == 4
    assert [one in lines[2] for one in ("| yes", "| 0.0", "3.0e-07")] == [True] * 3
    assert lines[3].count("NO") == 2


def test_a_case_is_called_by_what_peft_calls_its_task() -> None:
    """The mean of a text has no class with a head; the pooler of BERT and tokens have."""
    assert Case("peft", "mean", "single", "ia3").task_type == "FEATURE_EXTRACTION"
    assert Case("peft", "pooler", "single", "ia3").task_type == "SEQ_CLS"
    assert Case("peft", "mean", "tagging", "ia3").task_type == "TOKEN_CLS"
