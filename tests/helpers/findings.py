"""What a verification says, for tests to look at."""

from __future__ import annotations

from dataclasses import replace

from taskbank.bank.records import AdapterRecord
from taskbank.checks import ANY_DROP
from taskbank.verify.compare import Comparison
from taskbank.verify.report import Report, TaskResult
from taskbank.verify.subject import Subject
from taskbank.verify.verdict import Evidence, Standard, judge


def messages(report: Report) -> str:
    """Return every finding as one text."""
    return "\n".join(f"{f.task}@{f.version} {f.check} {f.message}" for f in report.findings)


def judged(record: AdapterRecord, found: Comparison, tolerance: float = ANY_DROP) -> TaskResult:
    """Return what is said of one adapter that is verified alone."""
    # The references are made up here and so have not the recorded metrics.
    evidence = [Evidence(Subject.of(record), (replace(found, disagreements=()),))]
    return judge(evidence, Standard(tolerance))[1][0]
