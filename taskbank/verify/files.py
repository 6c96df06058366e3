"""Writes a verification to files: JUnit XML for CI, one self-contained HTML page for people."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path

from taskbank.errors import InputError
from taskbank.verify.report import Finding, Report

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def check_writable(path: Path) -> None:
    """Raise unless a file can be written at a path, before any work is done for it.

    Raises:
        InputError: if its folder is not there or cannot be written to, or it is a folder.
    """
    folder = path.absolute().parent
    if (
        path.is_dir()
        or not folder.is_dir()
        or not os.access(path if path.exists() else folder, os.W_OK)
    ):
        raise InputError(f"{path} cannot be written to: name a file in a folder that is there")


def write_html(report: Report, path: Path) -> None:
    """Write a verification as one HTML page that loads nothing from elsewhere."""
    from jinja2 import Environment

    template = resources.files("taskbank.verify").joinpath("page.html").read_text("utf-8")
    page = Environment(autoescape=True, trim_blocks=True).from_string(template)
    _write(path, page.render(report=report).encode())


def write_junit(report: Report, path: Path) -> None:
    """Write a verification as JUnit XML: one test case an adapter, and one for the bank."""
    suite = ET.Element("testsuite", name=f"taskbank verify-all ({report.level})")
    cases: list[tuple[str, list[Finding]]] = [
        ("bank", [finding for finding in report.findings if finding.task is None])
    ]
    for task in report.tasks:
        own = [f for f in report.findings if (f.task, f.version) == (task.task, task.version)]
        cases.append((f"{task.task}@{task.version}", own))
    for name, findings in cases:
        case = ET.SubElement(suite, "testcase", classname="taskbank", name=name)
        for finding in findings:
            failure = ET.SubElement(case, "failure", type=finding.check)
            failure.set("message", _xml_text(finding.message))
    failed = sum(1 for _, findings in cases if findings)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failed))
    _write(path, ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def _xml_text(text: str) -> str:
    # XML has no place for control characters, not even escaped.
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path} cannot be written to: {error.strerror}") from None
