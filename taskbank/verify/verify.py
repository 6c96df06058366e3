"""One run of the checks: integrity, then regression, then the record of both in the bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from taskbank.bank import Bank
from taskbank.catalog.catalog import now
from taskbank.catalog.engine import writing
from taskbank.catalog.records import AdapterRecord
from taskbank.environment import environment
from taskbank.errors import BankError, InputError, TaskbankError
from taskbank.verify.integrity import Integrity, check_integrity
from taskbank.verify.report import Finding, Level, Report, TaskResult
from taskbank.verify.verdict import judge

ANY_DROP = 1.0  # the tolerance that leaves it to the test of significance


def verify_all(
    bank: Bank,
    tasks: Sequence[str] = (),
    *,
    level: Level = "full",
    tolerance: float = ANY_DROP,
    strict: bool = False,
    backbone: str | None = None,
    device: str | None = None,
    progress: bool = False,
) -> Report:
    """Check that everything in a bank is, and predicts, what was recorded.

    Args:
        bank: an open bank; nothing in it changes but that the verification is recorded.
        tasks: references (`NAME`, `NAME@VERSION`, `NAME@ALIAS`) of the adapters to check; a
            bare name means every version in use, none at all means every adapter in use.
        level: `integrity` checks rows and bytes without torch; `full` also predicts every
            stored split again.
        tolerance: the drop of a metric that is let pass where it may be chance, from 0 to 1,
            which lets any pass. A drop that chance does not explain is never let pass.
        strict: whether every answer that changed by more than rounding is a finding.
        backbone: where to load the backbone from, if not from where it was recorded.
        device: to compute on; none means the best there is.
        progress: show a bar, if the error stream is a terminal.

    Raises:
        InputError: if an argument is not usable.
        NotFoundError: if a reference names nothing.
        BackboneMismatchError: if `backbone` is given and is none that the bank knows.
    """
    if level not in get_args(Level):
        raise InputError(f"level {level!r} is unknown: use {' or '.join(get_args(Level))}")
    if not 0 <= tolerance <= ANY_DROP:
        raise InputError(f"tolerance is {tolerance}: it is a drop of a metric, from 0 to 1")
    chosen = {_chosen(bank, ref) for ref in tasks}

    def wanted(task: str, version: int) -> bool:
        return not chosen or (task, None) in chosen or (task, version) in chosen

    started_at = now()
    integrity = check_integrity(bank, wanted, progress=progress)
    findings = list(integrity.findings)
    predicted: list[TaskResult] = []
    used_device = None
    if level == "full":
        from taskbank.environment import pick_device
        from taskbank.verify.regression import check_regression

        used_device = pick_device(device)
        sound = _readable(bank, integrity, findings)
        found, evidence = check_regression(
            bank, sound, backbone=backbone, device=used_device, progress=progress
        )
        judged, predicted = judge(evidence, tolerance=tolerance, strict=strict)
        findings += found + judged
    by_ref = {(result.task, result.version): result for result in predicted}
    results = [by_ref.get((one.task, one.version), one) for one in _results(integrity)]
    report = Report(
        level,
        tuple(findings),
        tuple(results),
        tolerance,
        environment(used_device),
        started_at,
        now(),
    )
    return _record(bank, report)


def _chosen(bank: Bank, ref: str) -> tuple[str, int | None]:
    name, version = bank.catalog.resolve(ref)
    return (name, version) if "@" in ref else (name, None)


def _results(integrity: Integrity) -> list[TaskResult]:
    return [
        TaskResult(one.task, one.version, "damaged" if one.damaged else "ok", one.metric, one.score)
        for one in integrity.adapters.values()
        if not one.retired
    ]


def _readable(bank: Bank, integrity: Integrity, findings: list[Finding]) -> list[AdapterRecord]:
    records = []
    for one in integrity.adapters.values():
        if one.damaged or one.retired:
            continue
        try:
            records.append(bank[f"{one.task}@{one.version}"])
        except TaskbankError as error:  # it was changed or removed since
            one.damaged = True
            findings.append(Finding(one.task, one.version, "row", str(error)))
    return records


def _record(bank: Bank, report: Report) -> Report:
    values = {
        "level": report.level,
        "ok": report.ok,
        "checked": report.checked,
        "tolerance": report.tolerance,
        "environment": report.environment,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
    }
    names = ("task", "version", "status", "metric", "recorded", "observed", "flips", "examples")
    results = [
        {name: getattr(result, name) for name in (*names, "shift")} for result in report.tasks
    ]
    findings = [dict(vars(finding)) for finding in report.findings]
    try:
        with writing(bank.engine) as connection:
            number = bank.catalog.add_verification(connection, values, results, findings)
    except BankError as error:  # a bank that cannot be written to is still reported on
        return replace(report, unrecorded=str(error))
    return replace(report, id=number)
