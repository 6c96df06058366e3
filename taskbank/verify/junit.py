"""Writes a verification as JUnit XML for CI systems."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from taskbank.runtime.files import write_file
from taskbank.runtime.visible_text import visible
from taskbank.verify.report import Finding, Report

FAILING_STATUSES = ("regressed", "unstable", "damaged", "unverifiable")


def write_junit(report: Report, path: Path) -> None:
    """Write a verification as JUnit XML, with one test case per adapter and one for the bank."""
    suite = ET.Element("testsuite", name=f"taskbank verify-all ({report.level})")
    cases: list[tuple[str, list[Finding]]] = [
        ("bank", [finding for finding in report.findings if finding.task is None])
    ]
    for task in report.tasks:
        own = [finding for finding in report.findings if finding.ref == task.ref]
        if not own and task.status in FAILING_STATUSES:  # the finding is shared by several adapters
            message = "a finding for the bank affects this adapter"
            own = [Finding(task.task, task.version, task.status, message)]
        cases.append((task.ref, own))
    unchecked = {task.ref for task in report.tasks if task.status == "unchecked"}
    for name, findings in cases:
        case = ET.SubElement(suite, "testcase", classname="taskbank", name=_xml_text(name))
        if name in unchecked:
            ET.SubElement(case, "skipped", message="the verification was interrupted before")
        for finding in findings:
            failure = ET.SubElement(case, "failure", type=_xml_text(finding.check))
            failure.set("message", _xml_text(finding.message))
    if report.interrupted is not None:
        error = ET.SubElement(suite[0], "error", type="interrupted")
        error.set("message", _xml_text(f"the verification was interrupted: {report.interrupted}"))
        suite.set("errors", "1")
    failed = sum(1 for _, findings in cases if findings)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failed))
    if unchecked:
        suite.set("skipped", str(len(unchecked)))
    write_file(path, ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def _xml_text(text: str) -> str:
    # XML forbids control characters, even escaped ones, and two characters that are none.
    return visible(text).replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")
