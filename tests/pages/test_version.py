"""What the page of a version shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.errors import NotFoundError
from taskbank.pages.evidence import Asked
from taskbank.pages.version import version_page


def test_everything_recorded_is_shown(demo: Bank) -> None:
    """Options, training, data, backbone, environment and digests are on the page."""
    page = version_page(demo, "ticket-topic@3")
    record = demo["ticket-topic@3"]
    values = {group.title: dict(group.values) for group in page.groups}
    assert values["Adapter"]["weights"] == record.digest
    assert values["Backbone"]["fingerprint"] == record.backbone
    assert values["Options"]["size"] == "8"
    assert values["Training"].keys() == record.training.keys()
    assert values["Data"]["test digest"] == record.splits[0].digest
    assert values["Environment"]["torch"] == "2.8.0"
    assert (page.aliases, page.retired, page.tags) == (
        ("production",),
        False,
        (("team", "support"),),
    )
    assert [result.verification for result in page.results] == [7, 6, 5, 4, 3, 2, 1]


def test_an_alias_opens_its_version(demo: Bank) -> None:
    """A reference by alias shows the version that it means."""
    assert version_page(demo, "ticket-topic@production").ref == "ticket-topic@3"
    with pytest.raises(NotFoundError):
        version_page(demo, "ticket-topic@nothing")


@pytest.mark.parametrize(
    ("ref", "given"),
    [
        ("spam@1", '"the text"'),
        ("same-question@1", '["the text a", "the text b"]'),
        ("review-stars@1", '"the text"'),
    ],
)
def test_the_example_of_a_call_suits_the_kind(demo: Bank, ref: str, given: str) -> None:
    """A pair is called with two texts, other kinds with one."""
    assert version_page(demo, ref).input == given


def test_what_cannot_be_shown_leaves_the_rest(demo: Bank) -> None:
    """An unknown split is named on the page, which shows everything else."""
    page = version_page(demo, "spam@1", Asked(split="june"))
    assert page.evidence is None
    assert "june" in page.problem
    assert page.metrics


EVERY_KIND = """
import sys
from taskbank.bank.bank import Bank
from taskbank.pages.evidence import Asked
from taskbank.pages.links import ServerLinks
from taskbank.pages.render import render
from taskbank.pages.task import task_page
from taskbank.pages.version import version_page

with Bank(sys.argv[1]) as bank:
    for task in bank.tasks():
        render(task_page(bank, task), ServerLinks())
        for order in ("wrong", "unsure", "stored"):
            page = version_page(bank, f"{task}@1", Asked(order=order))
            render(page, ServerLinks())
            if order == "stored":
                print(task, page.problem, page.evidence.found)
print("torch" in sys.modules)
"""


@pytest.mark.process
def test_every_kind_has_a_page_without_torch(printed: Callable[[str], list[str]]) -> None:
    """All examples of a task of every kind can be shown, and nothing imports torch for it."""
    assert printed(EVERY_KIND) == [
        *(f"{kind} None 8" for kind in sorted(plugins.names("kinds"))),
        "False",
    ]
