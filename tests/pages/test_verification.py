"""The page of a recorded verification, on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError, NotFoundError
from taskbank.pages.links import FileLinks, ServerLinks
from taskbank.pages.render import render
from taskbank.pages.verification import verification_page
from taskbank.pages.verifications import verifications_page


def test_what_needs_attention_comes_first(demo: Bank) -> None:
    """A recorded verification shows its verdict, findings, and results from the worst on."""
    page = verification_page(demo, 7)
    assert page.outcome.headline == "16 adapters checked: 3 need attention"
    assert "predict worse than recorded: 3" in page.outcome.advice
    assert [finding.ref for finding in page.findings][:1] == ["review-sentiment@1"]
    statuses = [row.status for row in page.rows]
    assert statuses == sorted(statuses, key=["regressed", "changed", "ok"].index)
    worst = page.rows[0]
    assert (worst.worse, worst.better, worst.p_value) == (24, 6, 4.2e-7)
    assert worst.observed == pytest.approx(worst.recorded - 0.06)
    assert worst.trend.description.startswith("7 scores")
    assert [(one.split, one.metric) for one in worst.metrics] == [("test", "accuracy")]
    assert (page.earlier, page.later) == (6, None)


@pytest.mark.parametrize("status", [None, "ok"])
def test_pages_of_results_follow_each_other(demo: Bank, status: str | None) -> None:
    """Short pages together are the one long page, of all results and of one status."""
    whole = [row.ref for row in verification_page(demo, 7, status=status, rows=100).rows]
    found: list[str] = []
    after = None
    while True:
        page = verification_page(demo, 7, status=status, after=after, rows=4)
        found += [row.ref for row in page.rows]
        assert page.listed == len(whole)
        after = page.next
        if after is None:
            break
    assert found == whole
    assert len(whole) > 8


def test_what_there_is_not_is_refused(demo: Bank) -> None:
    """An unknown number is not found, and an unknown status names those that there are."""
    for number in (0, 99, 10**9 - 1, 10**30):
        with pytest.raises(NotFoundError, match="taskbank history"):
            verification_page(demo, number)
    with pytest.raises(InputError, match="regressed, unstable"):
        verification_page(demo, 7, status="bad")
    assert verification_page(demo, 7, status="unstable").rows == ()
    assert verification_page(demo, 7, after=10**9).rows == ()


def test_the_list_has_the_newest_first(demo: Bank) -> None:
    """Each verification has the number of its findings, and pages follow each other."""
    page = verifications_page(demo, rows=3)
    assert [row.id for row in page.rows] == [7, 6, 5]
    assert (page.rows[0].findings, page.rows[1].findings) == ({"regression": 3}, {})
    assert [row.id for row in verifications_page(demo, after=page.next, rows=9).rows] == [
        4,
        3,
        2,
        1,
    ]
    assert verifications_page(demo, after=1).rows == ()


def test_a_filter_links_to_every_status(demo: Bank) -> None:
    """A server's page leads to the results of each status, to versions and to its neighbours."""
    text = render(verification_page(demo, 7), ServerLinks())
    for path in (
        "/verifications/7?status=regressed",
        "/verifications/7?status=ok",
        "/verifications/6",
        "/tasks/review-sentiment@1",
    ):
        assert f'href="{path}' in text


def test_flips_lead_to_the_examples_that_flipped(demo: Bank) -> None:
    """Where predictions are stored, a number of flips opens the comparison with the reference."""
    page = verification_page(demo, 7)
    address = "/compare?a=review-sentiment%401&amp;b=review-sentiment%401&amp;b_verification=7"
    assert f'href="{address}"' in render(replace(page, predicted=True), ServerLinks())
    assert not page.predicted
    assert "/compare" not in render(page, ServerLinks())
    assert "compare" not in render(replace(page, predicted=True), FileLinks())
