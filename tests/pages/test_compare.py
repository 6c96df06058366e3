"""What the page that compares two versions shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.errors import NotFoundError
from taskbank.pages.compare import compare_page


def test_the_verdict_says_which_is_better_and_how_sure_that_is(demo: Bank) -> None:
    """It has both shares, the interval, the probability, and a conclusion or the lack of one."""
    page = compare_page(demo, "ticket-topic@production", "ticket-topic@4")
    assert [side.ref for side in page.sides] == ["ticket-topic@3", "ticket-topic@4"]
    assert page.verdict.startswith("ticket-topic@4 gets 84.8% of the answers right, ticket-topic@3")
    assert "6.5 points less" in page.verdict
    assert page.verdict.endswith("ticket-topic@4 is worse.")
    unsure = compare_page(demo, "spam@1", "spam@2")
    assert unsure.verdict.endswith("these 600 examples do not show which is better.")
    assert "mean error" in compare_page(demo, "review-stars@1", "review-stars@2").verdict
    assert compare_page(demo, "spam@1", "spam@1").verdict == "Both are spam@1."


def test_settings_that_differ_are_told_from_the_others(demo: Bank) -> None:
    """Options and training of both are there; those that are alike are not counted."""
    page = compare_page(demo, "ticket-topic@3", "ticket-topic@4")
    differing = {row.name: (row.first, row.second) for row in page.settings if row.differs}
    assert differing == {"size": ("8", "16"), "epochs": ("10", "12"), "seed": ("2", "3")}
    assert page.differing == 3
    assert len(page.settings) > 10


def test_two_verifications_differ_in_their_environments(demo: Bank) -> None:
    """The environment of a side is that of the verification that predicted."""
    page = compare_page(demo, "spam@1", "spam@1", verifications=(6, 7))
    differing = [
        (row.group, row.name, row.first, row.second) for row in page.settings if row.differs
    ]
    assert differing == [("Environment", "torch", "2.8.0", "2.9.1")]
    page = compare_page(demo, "spam@1", "spam@1", verifications=(None, 7))
    recorded = {row.name: row.first for row in page.settings if row.group == "Environment"}
    assert recorded == {**demo["spam@1"].environment, "threads": "2", "transformers": None}


def test_what_cannot_be_compared_leaves_the_rest(demo: Bank) -> None:
    """The reason is named; scores and settings of both are there all the same."""
    page = compare_page(demo, "spam@1", "review-stars@1")
    assert page.evidence is None
    assert "one kind" in page.problem
    assert page.differing
    page = compare_page(demo, "spam@1", "spam@2", verifications=(None, 7))
    assert "no predictions of verification 7" in page.problem
    assert [result.verification for result in page.known] == [7]
    with pytest.raises(NotFoundError):
        compare_page(demo, "spam@1", "spam@9")


def test_nothing_is_compared_before_both_are_named(demo: Bank) -> None:
    """Without one of the two the page only asks for it."""
    page = compare_page(demo, "spam@1", "")
    assert (page.sides, page.title, page.verdict) == ((), "Compare", "")


EVERY_KIND = """
import sys
from taskbank.bank.bank import Bank
from taskbank.pages.compare import compare_page
from taskbank.pages.links import ServerLinks
from taskbank.pages.buckets import BUCKETS
from taskbank.pages.paired_evidence import AskedPairs
from taskbank.pages.render import render

with Bank(sys.argv[1]) as bank:
    for task in bank.tasks():
        counts = 0
        for bucket in BUCKETS:
            page = compare_page(bank, f"{task}@1", task, asked=AskedPairs(bucket=bucket))
            render(page, ServerLinks())
            counts += len(page.evidence.examples)
        print(task, page.problem, counts)
print("torch" in sys.modules)
"""


@pytest.mark.process
def test_every_kind_is_compared_without_torch(printed: Callable[[str], list[str]]) -> None:
    """All examples of a task of every kind are in some bucket, and nothing imports torch."""
    assert printed(EVERY_KIND) == [
        *(f"{kind} None 8" for kind in sorted(plugins.names("kinds"))),
        "False",
    ]
