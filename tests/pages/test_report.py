"""The file of `verify-all --report`, which is opened in a real browser where there is one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taskbank.bank.bank import Bank
from taskbank.pages.links import LoneLinks
from taskbank.pages.render import render
from taskbank.pages.report import report_page, write_report
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
