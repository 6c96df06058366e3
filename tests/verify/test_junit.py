"""The JUnit file of a verification."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from taskbank.verify.junit import write_junit
from taskbank.verify.report import Finding, Report
from tests.helpers.reports import report


def test_a_junit_file_has_a_case_for_each_adapter(regressed: Report, tmp_path: Path) -> None:
    """CI reads one case an adapter and one for the bank, with the finding as its failure."""
    write_junit(regressed, tmp_path / "report.xml")
    suite = ET.parse(tmp_path / "report.xml").getroot()
    assert [case.get("name") for case in suite] == ["bank", "mood@1"]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    (failure, *_) = suite[1]
    assert failure.get("type") == "regression"


def test_junit_has_a_case_an_adapter(tmp_path: Path) -> None:
    """Every adapter is a test case, what was found its failure, and the bank has a case too."""
    write_junit(report(), tmp_path / "junit.xml")
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    cases = {case.get("name"): len(case) for case in suite}
    assert cases == {
        "bank": 1,
        "tickets@1": 0,
        "spam@2": 0,
        "sentiment@10": 1,
        "intents@1": 1,  # its backbone is gone, which the bank's case says
        "urgency@1": 0,
    }
    assert (suite.get("tests"), suite.get("failures")) == ("6", "3")


def test_characters_that_xml_forbids_are_escaped(tmp_path: Path) -> None:
    """The file is XML whatever names, checks and messages hold, and says which character it was."""
    hostile = "a\x00b\x1b[31mc\u202ed\ufffe\udcff\x9b"
    given = report()
    finding = Finding(None, None, hostile, hostile)
    write_junit(replace(given, findings=(finding,)), tmp_path / "junit.xml")
    text = (tmp_path / "junit.xml").read_text()
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    (failure,) = (case[0] for case in ET.fromstring(text) if case.get("name") == "bank")
    assert failure.get("message") == r"a\x00b\x1b[31mc\u202ed\ufffe\udcff\x9b"
