"""The page of a verification: recorded, on every database, and as the file of `--report`, which is
opened in a real browser where there is one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.errors import InputError, NotFoundError
from taskbank.pages.links import LoneLinks, ServerLinks
from taskbank.pages.render import render
from taskbank.pages.verification import report_page, verification_page, write_report
from taskbank.pages.verifications import verifications_page
from taskbank.verify.junit import write_junit
from taskbank.verify.report import Finding, Report, TaskResult
from taskbank.verify.verify import verify_all
from tests.helpers.reports import report
from tests.helpers.tampering import reseal

HISTORY = {"tickets@1": [0.91] * 3, "sentiment@10": [0.88, 0.88, 0.71], "urgency@1": [0.85]}
ADDRESS = re.compile(r'(?:src|href)="([^"]*)"')


def write(given: Report, path: Path) -> str:
    """Write the page of a report with the history of some tasks; return its text."""
    path.write_text(render(report_page(given, HISTORY), LoneLinks()))
    return path.read_text()


# Recorded verifications


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


def test_the_environment_stands_beside_the_one_before(demo: Bank) -> None:
    """What differs from the verification before is marked, and nothing else is."""
    page = verification_page(demo, 7)
    assert page.compared == 6
    assert [(one.name, one.before, one.value) for one in page.environment if one.changed] == [
        ("torch", "2.8.0", "2.9.1")
    ]
    assert verification_page(demo, 6).changed == 0
    first = verification_page(demo, 1)
    assert (first.compared, first.earlier, first.later) == (None, None, 2)
    assert {one.before for one in first.environment} == {None}


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


def test_evidence_of_another_shape_is_left_out(bank: Bank) -> None:
    """Whatever stands in the evidence, the page shows what is of use and no error."""
    from taskbank.bank.new_records import NewResult, NewVerification

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


# The file of --report


def test_the_page_needs_nothing_from_elsewhere_and_believes_nothing(tmp_path: Path) -> None:
    """It names no address, and texts of examples and messages are texts there and no markup."""
    page = write(report(what_if={"dtype": "bfloat16"}), tmp_path / "page.html")
    assert all(address.startswith(("data:", "#")) for address in ADDRESS.findall(page))
    assert not re.search(r"https?://|@import|url\(|<form", page)
    assert "<script>alert" not in page
    assert page.count("<script") == 1  # what sorts and filters the table
    assert "&lt;script&gt;alert" in page
    assert "dtype=bfloat16" in page
    assert page.count("<polyline") == 2  # one score makes no line


def test_an_empty_bank_has_a_page(tmp_path: Path) -> None:
    """Without adapters there is a page that says so."""
    moment = "2026-11-25T04:00:00.000000+00:00"
    page = write(Report("full", (), (), 1.0, {}, moment, moment), tmp_path / "page.html")
    assert "The bank has no adapters." in page


# In a browser


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    """The browser with the page open."""
    write(report(), tmp_path / "page.html")
    browser.set_window_size(1200, 1000)
    browser.get((tmp_path / "page.html").as_uri())
    return browser


def names(page: Any) -> list[str]:
    """Return the adapters that the table shows, from top to bottom."""
    return [
        one.text
        for one in page.find_elements("css selector", "#adapters tbody tr:not([hidden]) th")
    ]


def head(page: Any, name: str) -> Any:
    """Return the heading of a column."""
    return page.find_element("xpath", f"//table[@id='adapters']//th[button='{name}']")


def test_the_page_opens_without_an_error(page: Any) -> None:
    """The console is silent, and what matters most is what is read first."""
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    verdict = page.find_element("css selector", ".verdict").text
    assert verdict.lower() == "5 adapters checked: 2 need attention"
    assert names(page)[:2] == ["sentiment@10", "intents@1"]
    assert len(names(page)) == 5
    assert page.find_element("css selector", ".search [role=status]").text == "5 of 5 shown"


def test_the_table_sorts_texts_and_numbers_both_ways(page: Any) -> None:
    """By name as people count, by number with what is missing last in either direction."""
    head(page, "adapter").find_element("css selector", "button").click()
    assert names(page) == sorted(names(page))
    assert head(page, "adapter").get_attribute("aria-sort") == "ascending"
    button = head(page, "flips").find_element("css selector", "button")
    button.click()
    assert names(page)[:3] == ["tickets@1", "spam@2", "sentiment@10"]
    button.click()
    assert names(page)[:3] == ["sentiment@10", "spam@2", "tickets@1"]
    assert set(names(page)[3:]) == {"intents@1", "urgency@1"}
    assert head(page, "flips").get_attribute("aria-sort") == "descending"
    assert head(page, "adapter").get_attribute("aria-sort") is None


def test_the_table_filters_by_words(page: Any) -> None:
    """What is typed narrows the table to rows with every word, and the count says so."""
    find = page.find_element("css selector", ".search input")
    find.send_keys("NT")
    assert names(page) == ["sentiment@10", "intents@1"]
    find.send_keys(" regressed")
    assert names(page) == ["sentiment@10"]
    assert page.find_element("css selector", ".search [role=status]").text == "1 of 5 shown"
    find.clear()
    find.send_keys("nothing")
    assert names(page) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_window_and_all_can_be_read(
    page: Any, width: int, dark: bool
) -> None:
    """Tables scroll by themselves, in a narrow window too, and texts stand out from the page in
    both colour schemes."""
    page.set_window_size(width, 900)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.execute_script(overflow) <= 0
    light = page.execute_script(
        """
        const canvas = document.createElement("canvas").getContext("2d");
        const luminance = color => {
          canvas.fillStyle = color;
          canvas.fillRect(0, 0, 1, 1);
          const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
          const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
          return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        };
        const back = luminance(getComputedStyle(document.body).backgroundColor);
        return [...document.querySelectorAll("h1, p:not(.problem)")].map(e => {
          const front = luminance(getComputedStyle(e).color);
          return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
        });
        """
    )
    assert light
    assert min(light) >= 4.5  # what WCAG 2 asks of a text at level AA


@pytest.mark.slow
def test_the_file_of_a_real_verification_has_it_all(mood: Bank, tmp_path: Path) -> None:
    """The file names status, findings, flipped examples and the environment before, and loads
    nothing."""

    def swap(tensors: dict[str, np.ndarray]) -> None:
        tensors["head.bias"] = np.array([9, -9], dtype=np.float32)

    first = verify_all(mood)
    reseal(mood, swap, "weights")
    regressed = verify_all(mood)
    write_report(regressed, tmp_path / "report.html", mood)
    page = (tmp_path / "report.html").read_text()
    assert "mood@1" in page
    assert "regressed" in page
    assert regressed.tasks[0].flipped[0].text in page
    assert f"that of verification {first.id}: nothing differs" in page
    assert "http" not in page
    assert all(address.startswith(("data:", "#")) for address in ADDRESS.findall(page))


def test_texts_in_a_report_are_only_texts(tmp_path: Path) -> None:
    """Markup and control characters from the data reach neither page nor XML as such."""

    nasty = "<script>alert(1)</script>\x00\x1b"
    report = Report(
        "full",
        (Finding("a", 1, "row", nasty), Finding(None, None, "backbone", nasty)),
        (TaskResult("a", 1, "damaged", "accuracy", 0.5),),
        0.0,
        {"x": nasty},
        "",
        "",
    )
    write_report(report, tmp_path / "a.html")
    write_junit(report, tmp_path / "a.xml")
    assert "<script>alert" not in (tmp_path / "a.html").read_text()
    assert len(list(ET.parse(tmp_path / "a.xml").getroot().iter("failure"))) == 2


def test_an_unstable_adapter_needs_attention(tmp_path: Path) -> None:
    """The page and the JUnit file show its status and its finding, and what to do."""
    task = TaskResult("tickets", 1, "unstable", "accuracy", 0.9, 0.5, 40, 100, 2.0)
    finding = Finding("tickets", 1, "unstable", "outputs of the same examples differ by 3")
    unstable = replace(report(), tasks=(task,), findings=(finding,))
    write_report(unstable, tmp_path / "a.html")
    write_junit(unstable, tmp_path / "a.xml")
    page = (tmp_path / "a.html").read_text()
    assert "1 adapter checked: 1 needs attention" in page
    assert "outputs depend on the other examples in a batch: 1" in page
    assert "outputs of the same examples differ by 3" in page
    failures = ET.parse(tmp_path / "a.xml").getroot().iter("failure")
    assert [failure.get("type") for failure in failures] == ["unstable"]
    assert unstable.to_json()["tasks"][0]["status"] == "unstable"


def test_the_page_shows_control_and_direction_characters_as_escapes(tmp_path: Path) -> None:
    """A text that would be shown in another order, or that a terminal obeys, is seen as it is."""
    given = report()
    finding = replace(given.findings[0], message="a\x1b[31mb\u202ec")
    text = write(replace(given, findings=(finding,)), tmp_path / "page.html")
    assert r"a\x1b[31mb\u202ec" in text
    assert all(sign.isprintable() or sign in "\n\t" for sign in text)
