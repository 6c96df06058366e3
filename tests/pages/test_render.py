"""The HTML of every page: what it may hold, and that hostile values are text in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest
from jinja2 import UndefinedError
from safetensors.numpy import save

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewResult, NewSplit, NewVerification
from taskbank.bank.records import FindingRecord
from taskbank.data.examples import Examples
from taskbank.kinds.definition import Definition
from taskbank.pages.bank import BankPage, bank_page
from taskbank.pages.compare import ComparePage, compare_page
from taskbank.pages.error import ErrorPage
from taskbank.pages.history import HistoryPage, history_page
from taskbank.pages.inputs import inputs_for
from taskbank.pages.leave_out import Effect, words_of
from taskbank.pages.links import FileLinks, ServerLinks
from taskbank.pages.nearest import nearest
from taskbank.pages.opened import OpenedPage
from taskbank.pages.paired_evidence import AskedPairs
from taskbank.pages.render import Frame, Page, environment, render
from taskbank.pages.sign_in import SignInPage
from taskbank.pages.task import Live, TaskPage, task_page
from taskbank.pages.try_page import TryPage, answer_of
from taskbank.pages.verification import VerificationPage, verification_page
from taskbank.pages.verifications import VerificationsPage, verifications_page
from taskbank.pages.version import VersionPage, version_page
from taskbank.pages.why import why
from tests.helpers.adapters import identity
from tests.helpers.demo_bank import TASKS
from tests.helpers.versions import version

PAGES = (
    BankPage,
    TaskPage,
    VersionPage,
    ComparePage,
    VerificationsPage,
    VerificationPage,
    HistoryPage,
    ErrorPage,
    OpenedPage,
    SignInPage,
    TryPage,
)
MARKUP = "<script>alert(1)</script><b onclick='x'>\"&amp;"
ORDER = "abc\u202edef\u200b\x1b[31m\x07\r"


class Found(HTMLParser):
    """What a page has: its elements, and whether each is closed."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is open from here on."""
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Fail unless the element that ends is the last one that was opened."""
        assert self.open.pop() == tag


def tried(bank: Bank, ref: str, text: str) -> Iterator[Page]:
    """Return the page for trying texts: before and after one task, and several, have answered."""
    record, row = bank[ref], (text,)
    labels = record.labels
    found = {
        "label": labels[1],
        "score": 0.75,
        "probabilities": dict(zip(labels, (0.25, 0.75), strict=True)),
    }
    entity = {"start": 0, "end": 3, "type": text, "score": 0.5}
    answer = answer_of(record, row, found)
    effects = [Effect(one, 0.2, 2, labels[0]) for one in words_of(row)]
    page = TryPage(ref, (record.task,), inputs_for(record, row))
    yield page
    yield replace(page, problem=text)
    yield replace(
        page,
        answers=(answer,),
        why=why(record, row, answer.label, effects, 100),
        nearest=nearest(bank, record, row),
    )
    drawn = answer_of(record, row, {"label": text, "score": 0.5, "entities": [entity]})
    yield replace(page, answers=(answer, drawn), skipped=((text, text),), remark=text)


def pages_of(bank: Bank) -> Iterator[Page]:
    """Return a page of each kind."""
    yield bank_page(bank)
    yield bank_page(bank, query="score >= and")
    yield bank_page(bank, query='task = "nothing"')
    yield bank_page(bank, rows=2)
    comparison = {
        "version": 3, "shadow": 4, "rows": 10, "agreement": 0.9, "agreement_low": 0.6,
        "agreement_high": 0.98, "mean_moved": 0.1, "most_moved": 0.4,
    }  # fmt: skip
    for made in TASKS:
        yield task_page(bank, made.name, live=Live({3: 5}, 0.05, True, [comparison]))
        yield version_page(bank, f"{made.name}@1")
        yield compare_page(bank, f"{made.name}@1", made.name, every_setting=True)
    yield compare_page(bank, "", "")
    yield compare_page(bank, "spam@1", "review-stars@1", verifications=(7, None))
    yield verifications_page(bank)
    yield verifications_page(bank, after=6, rows=2)
    yield verification_page(bank, 7)
    yield verification_page(bank, 7, status="ok", rows=3)
    yield history_page(bank)
    yield history_page(bank, rows=3, tasks=3)
    yield history_page(bank, task="ticket-topic")
    yield ErrorPage(404, "Not Found", "there is no such thing")
    yield SignInPage("/", "The server has no such key.")
    yield SignInPage("/", "This link was used already.", by_link=True)
    yield OpenedPage("/")
    yield from tried(bank, "spam@1", "win money now")


@pytest.mark.parametrize("live", [True, False])
def test_every_page_is_sound(demo: Bank, live: bool) -> None:
    """Elements are closed, ids are unique, tables have captions and headings have scopes, every
    field has a label, and nothing is inline or comes from elsewhere."""
    links = ServerLinks() if live else FileLinks(("tasks", "x"))
    for page in pages_of(demo):
        text = render(page, links, Frame("web", "token"))
        found = Found(text)
        assert found.open == []
        assert len(found.ids) == len(set(found.ids)), page.template
        tags = [tag for tag, _ in found.elements]
        assert tags.count("main") == tags.count("h1") == 1
        assert tags.count("table") == tags.count("caption")
        labelled = {values.get("for") for tag, values in found.elements if tag == "label"}
        for tag, values in found.elements:
            assert "style" not in values
            assert tag != "style"
            assert not [name for name in values if name.startswith(("on", "hx-on"))]
            if tag == "script":
                assert values["src"]
            if tag == "th":
                assert values["scope"] in ("col", "row")
            if tag == "input" and values["type"] != "hidden":
                assert values["id"] in labelled
            for name in ("src", "href", "action", "hx-get"):
                assert not re.match(r"\w+:|//", values.get(name) or ""), values
        assert "javascript:" not in text
        assert "<script>" not in text
        assert "Macro" not in text


def test_every_template_belongs_to_a_page() -> None:
    """Each template is that of one page, or is shared by several."""
    names = {
        path.name for path in resources.files("taskbank.pages").joinpath("templates").iterdir()
    }
    assert names == {page.template for page in PAGES} | {"base.html", "parts.html"}


def test_a_misspelt_name_is_an_error() -> None:
    """A template cannot show nothing in place of something."""
    with pytest.raises(UndefinedError):
        environment().from_string("{{ page.nothing }}").render(page=ErrorPage(404, "a", "b"))


def test_files_have_no_forms_and_no_parameters(demo: Bank) -> None:
    """What only a server answers is left out of pages that are files."""
    for page in pages_of(demo):
        if not isinstance(page, ErrorPage | OpenedPage | SignInPage | TryPage):
            text = render(page, FileLinks(("tasks", "x")))
            assert "<form" not in text
            assert not re.search(r'href="[^"]*\?', text)
            assert "hx-" not in text


def hostile(bank: Bank) -> Bank:
    """Record a task whose every free text is hostile, and return the bank."""
    labels = (MARKUP, ORDER)
    texts = (MARKUP, ORDER, "x" * 1_000_000, "\u0627\u0644" * 50)
    columns = {"text": texts, "label": (MARKUP, ORDER, MARKUP, ORDER)}
    examples = Examples(columns, MARKUP)
    logits = np.eye(2, dtype=np.float32)[[1, 0, 1, 0]] * 3
    split = NewSplit("test", MARKUP, 4, examples.to_bytes(), save({"logits": logits}), ())
    new = version(1, definition=Definition(labels, {"positive": ORDER}), labels=columns["label"])
    bank.put(
        replace(
            new,
            splits=(split,),
            backbone=replace(identity(), spec=MARKUP),
            description=MARKUP + ORDER,
            tags={"team": MARKUP, "other": ORDER},
            environment={"torch": MARKUP, "platform": ORDER},
        )
    )
    result = NewResult(
        "mood",
        1,
        "regressed",
        MARKUP,
        0.5,
        0.4,
        1,
        2,
        0.1,
        None,
        {"metrics": {ORDER: {MARKUP: [1, 0]}}},
    )
    finding = FindingRecord("mood", 1, MARKUP, MARKUP + ORDER + "x" * 1_000_000)
    at = "2026-11-10T06:30:00.000000+00:00"
    bank.verification_log.record(
        NewVerification(
            level=MARKUP, ok=False, checked=1, tolerance=0.0, environment={MARKUP: ORDER},
            started_at=at, finished_at=at, run=None, confirmed=0, results=(result,),
            findings=(finding,),
        )
    )  # fmt: skip
    bank.set_tolerance("mood", 0.1)
    return bank


def test_hostile_values_are_text(bank: Bank) -> None:
    """Markup is escaped, control and direction characters are visible, and long texts are cut."""
    hostile(bank)
    pages: tuple[Page, ...] = (
        bank_page(bank),
        bank_page(bank, query=MARKUP),
        task_page(bank, "mood"),
        version_page(bank, "mood@1"),
        verifications_page(bank),
        verification_page(bank, 1),
        history_page(bank),
        history_page(bank, task="mood"),
        compare_page(bank, "mood@1", "mood@1", asked=AskedPairs(bucket="wrong", text=ORDER)),
        compare_page(bank, "mood@1", "mood@1", asked=AskedPairs(bucket="unchanged")),
        ErrorPage(404, "Not Found", MARKUP + ORDER),
        SignInPage(MARKUP, ORDER),
        *list(tried(bank, "mood@1", MARKUP + ORDER))[2:],
    )
    for page in pages:
        text = render(page, ServerLinks(), Frame(MARKUP, MARKUP, MARKUP))
        text = re.sub("<textarea.*?</textarea>", "", text, flags=re.DOTALL)  # comes back unchanged
        found = Found(text)
        assert found.open == []
        assert "alert(1)" in text
        assert "<script>alert" not in text
        assert not any("onclick" in values for _, values in found.elements)
        assert all(sign.isprintable() or sign in "\n\t" or sign == "\u00a0" for sign in text)
        assert len(text) < 100_000
    text = render(version_page(bank, "mood@1"), ServerLinks())
    assert r"abc\u202edef" in text
    assert r"\x1b[31m" in text
    assert "1,000,000 characters" in text
