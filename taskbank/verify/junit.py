"""Writes a verification as JUnit XML for CI systems."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from taskbank.errors import InputError
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
    for name, findings in cases:
        case = ET.SubElement(suite, "testcase", classname="taskbank", name=name)
        for finding in findings:
            failure = ET.SubElement(case, "failure", type=finding.check)
            failure.set("message", _xml_text(finding.message))
    failed = sum(1 for _, findings in cases if findings)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failed))
    write_file(path, ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def _xml_text(text: str) -> str:
    # XML forbids control characters, even escaped ones.
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def write_file(path: Path, data: bytes) -> None:
    """Write bytes to a file.

    Raises:
        InputError: if the file cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
