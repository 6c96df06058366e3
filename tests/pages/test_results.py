"""Results of adapters, from evidence of any shape."""

from __future__ import annotations

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewResult, NewVerification
from taskbank.pages.links import ServerLinks
from taskbank.pages.render import render
from taskbank.pages.verification import verification_page


def test_evidence_of_another_shape_is_left_out(bank: Bank) -> None:
    """Whatever stands in the evidence, the page shows what is of use and no error."""
    at = "yesterday"
    evidence = {"p_value": "x", "negative_flips": [1], "metrics": {"a": {"b": [1]}, "c": 3}}
    result = NewResult("a", 1, "changed", None, None, None, None, None, None, None, evidence)
    number = bank.verification_log.record(
        NewVerification(
            level="full", ok=True, checked=1, tolerance=1.0, environment={"x": [1, None]},
            started_at=at, finished_at=at, run=None, confirmed=0, results=(result,), findings=(),
        )
    )  # fmt: skip
    page = verification_page(bank, number)
    assert (page.rows[0].p_value, page.rows[0].worse, page.rows[0].metrics) == (None, None, ())
    assert page.duration == ""
    assert render(page, ServerLinks())
