"""The page of a verification that has just ended, whole and in one file: `verify-all --report`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from taskbank.bank.bank import Bank
from taskbank.bank.records import VerificationRecord
from taskbank.checks import LARGEST
from taskbank.errors import TaskbankError
from taskbank.history.matrix import recorded_scores
from taskbank.pages.charts import sparkline
from taskbank.pages.environment import conditions
from taskbank.pages.links import LoneLinks
from taskbank.pages.render import render
from taskbank.pages.results import fresh_row
from taskbank.pages.verdict import FAILING, Outcome
from taskbank.pages.verification import ORDER, VerificationPage, findings_of
from taskbank.runtime.files import write_file
from taskbank.verify.report import Report


def report_page(
    report: Report,
    scores: Mapping[str, Sequence[float]] | None = None,
    before: VerificationRecord | None = None,
) -> VerificationPage:
    """Return what the page of a verification shows that has just ended.

    Args:
        report: the verification.
        scores: the scores of each adapter, by its full name such as `sst2@3`, oldest first.
        before: the verification before it, to compare its environment with.
    """
    counts: Counter[str] = Counter(task.status for task in report.tasks)
    failing = {task.ref for task in report.tasks if task.status in FAILING}
    failing |= {finding.ref for finding in report.findings if finding.ref is not None}
    outcome = Outcome(
        report.ok,
        report.checked,
        len(report.tasks),
        len(failing),
        len(report.findings),
        any(finding.check == "strict" for finding in report.findings),
        dict(counts),
        report.interrupted,
    )
    known = scores or {}
    results = sorted(report.tasks, key=lambda task: ORDER.index(task.status))
    return VerificationPage(
        report.id,
        report.level,
        report.tolerance,
        report.started_at,
        report.finished_at,
        outcome,
        report.confirmed,
        tuple(report.what_if.items()),
        report.unrecorded or "",
        findings_of(report.findings),
        None,
        tuple(fresh_row(task, sparkline(known.get(task.ref, ()))) for task in results),
        len(results),
        None,
        None,
        report.id is not None,
        conditions(report.environment, None if before is None else before.environment),
        None if before is None else before.id,
        None,
        None,
    )


def write_report(report: Report, path: Path, bank: Bank | None = None) -> None:
    """Write the page of a verification that has just ended as one file that loads no others.

    Args:
        report: the verification.
        path: the file.
        bank: the bank, for earlier scores and the environment before; None leaves these out.

    Raises:
        ResourceError: if the disk is full or failed.
        InputError: if the file cannot be written for another reason.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    before = None
    if bank is not None:
        try:
            for _, task, version, score in recorded_scores(bank, bank.adapters()):
                scores[f"{task}@{version}"].append(score)
            log = bank.verification_log
            number = LARGEST if report.id is None else report.id
            compared = log.neighbours(number, predicted=report.level != "integrity")[2]
            before = None if compared is None else log.verification(compared)
        except TaskbankError:  # the report names the problem
            scores.clear()
    page = report_page(report, scores, before)
    write_file(path, render(page, LoneLinks()).encode("utf-8", "replace"))
