"""One run of the checks: integrity, then predictions, then the record of both in the bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewResult, NewVerification
from taskbank.bank.records import AdapterRecord, Confirmation, FindingRecord
from taskbank.checks import ANY_DROP, check_tolerance
from taskbank.errors import BankError, InputError, TaskbankError
from taskbank.runtime.clock import now
from taskbank.runtime.environment import environment
from taskbank.verify.integrity import Integrity, check_integrity
from taskbank.verify.journal import Journal
from taskbank.verify.report import Afterwards, Finding, Level, Report, TaskResult
from taskbank.verify.verdict import judge, still_holds

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone


def verify_all(
    bank: Bank,
    tasks: Sequence[str] = (),
    *,
    level: Level = "full",
    tolerance: float = ANY_DROP,
    strict: bool = False,
    what_if: Mapping[str, str] | None = None,
    backbone: str | Backbone | None = None,
    device: str | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Report:
    """Check that everything in a bank is, and predicts, what was recorded.

    Args:
        bank: an open bank; nothing in it changes but that the verification is recorded.
        tasks: references (`NAME`, `NAME@VERSION`, `NAME@ALIAS`) of the adapters to check; a
            bare name means every version in use. None at all means every adapter in use, and
            what belongs to no single task.
        level: `integrity` checks rows and bytes without torch; `full` also predicts every
            stored split again; `changed` only where something that the result depends on has
            changed since a verification found it to be as it was; `canary` a handful of
            examples of each split, and all of them where one moved.
        tolerance: the drop of a metric that is let pass where it may be chance, from 0 to 1,
            which lets any pass. A drop that chance does not explain is never let pass. A task
            may have a tolerance of its own in the bank.
        strict: whether every answer that changed by more than rounding is a finding.
        what_if: try out another `backbone`, `dtype` (`float32`, `bfloat16` or `float16`),
            `device` or number of `threads`; nothing is recorded.
        backbone: where to load the backbone from, if not from where it was recorded, or the
            backbone itself.
        device: to compute on; none means the best there is, or where the given backbone is.
        resume: go on from what an interrupted verification of the same tasks and level left.
        progress: show a bar, if the error stream is a terminal.

    Raises:
        InputError: if an argument is not usable.
        NotFoundError: if a reference names nothing.
        BackboneMismatchError: if `backbone` is given and is none that the bank knows.
    """
    if level not in get_args(Level):
        raise InputError(f"level {level!r} is unknown: use {', '.join(get_args(Level))}")
    check_tolerance(tolerance)
    if level == "integrity" and what_if:
        raise InputError("at level integrity nothing is predicted: --what-if needs another")
    chosen = {_chosen(bank, ref) for ref in tasks}

    asked = None
    if level != "integrity":
        from taskbank.verify.conditions import conditions

        asked = conditions(what_if, backbone, device)
    moment, where = now(), environment(asked.device if asked else None)
    report = Report(level, (), (), tolerance, where, moment, moment, what_if=what_if or {})
    integrity = check_integrity(bank, chosen, progress=progress)
    findings = list(integrity.findings)
    journal = Journal(bank.verification_log)
    predicted: list[TaskResult] = []
    if asked is not None:
        from taskbank.verify.predictions import gather, given_backbone

        records, unreadable = _readable(bank, integrity)
        given = given_backbone(bank, asked)
        journal, report = _start(bank, report, sorted(tasks), resume=resume)
        own = bank.tolerances()

        def holds(record: AdapterRecord, earlier: Confirmation) -> bool:
            allowed = own.get(record.task, tolerance)
            return still_holds(earlier, record.metric, allowed, strict=strict)

        unloadable, evidence = gather(
            bank, records, level, asked, given, journal, holds, progress=progress
        )
        judged, predicted = judge(evidence, tolerance=tolerance, tolerances=own, strict=strict)
        findings += [*unreadable, *unloadable, *judged]
    results = _results(integrity, predicted, findings)
    report = replace(report, findings=tuple(findings), tasks=results, finished_at=now())
    if journal.problems:
        report = replace(report, unrecorded=journal.problems[0])
    return report if report.what_if or report.unrecorded else _record(bank, report, journal.run)


def verify_afterwards(bank: Bank, level: Afterwards, **given: Any) -> Report | None:
    """Verify a bank that something was added to; none if that is not wanted.

    Args:
        bank: an open bank.
        level: as for `verify_all`, or `none`.
        given: what else `verify_all` takes.
    """
    return None if level == "none" else verify_all(bank, level=level, **given)


def _chosen(bank: Bank, ref: str) -> tuple[str, int | None]:
    name, version = bank.resolve(ref)
    return (name, version) if "@" in ref else (name, None)


def _results(
    integrity: Integrity, predicted: Sequence[TaskResult], findings: Sequence[Finding]
) -> tuple[TaskResult, ...]:
    """Return a result for every adapter in use: from its predictions, else from its integrity."""
    by_ref = {(result.task, result.version): result for result in predicted}
    unreadable = {(finding.task, finding.version) for finding in findings if finding.check == "row"}
    return tuple(
        by_ref.get((one.task, one.version))
        or TaskResult(
            one.task,
            one.version,
            "damaged" if (one.task, one.version) in unreadable else one.status,
            one.metric,
            one.score,
        )
        for one in integrity.adapters
        if not one.retired
    )


def _readable(bank: Bank, integrity: Integrity) -> tuple[list[AdapterRecord], list[Finding]]:
    """Return the records of the sound adapters, and what is wrong with those that have none."""
    try:
        known = {(record.task, record.version): record for record in bank.adapters()}
    except TaskbankError:  # because of another adapter
        known = {}
    records, findings = [], []
    for one in integrity.adapters:
        if not one.sound:
            continue
        try:
            found = known.get((one.task, one.version))
            records.append(found or bank[f"{one.task}@{one.version}"])
        except TaskbankError as error:  # it was changed or removed since
            findings.append(Finding(one.task, one.version, "row", str(error)))
    return records, findings


def _start(
    bank: Bank, report: Report, tasks: Sequence[str], *, resume: bool
) -> tuple[Journal, Report]:
    """Return where to record what is predicted: in a new run, or in an interrupted one."""
    log = bank.verification_log
    if report.what_if:
        return Journal(log), report
    if resume:
        # Of several, the run that observed most, then the newest.
        for run in sorted(log.unfinished_runs(), key=lambda run: (-run.adapters, -run.id)):
            if (run.level, list(run.tasks)) == (report.level, list(tasks)):
                return Journal(log, run.id, log.observations(run.id)), report
    try:
        return Journal(log, log.start_run(report.level, tasks, report.environment)), report
    except BankError as error:  # a bank that cannot be written to is still reported on
        return Journal(log), replace(report, unrecorded=str(error))


EVIDENCE = ("noise", "within_noise", "negative_flips", "positive_flips", "p_value", "metrics")


def _record(bank: Bank, report: Report, run: int | None) -> Report:
    results = tuple(
        NewResult(
            task=result.task,
            version=result.version,
            status=result.status,
            metric=result.metric,
            recorded=result.recorded,
            observed=result.observed,
            flips=result.flips,
            examples=result.examples,
            shift=result.shift,
            circumstances=result.circumstances,
            evidence={name: getattr(result, name) for name in EVIDENCE},
        )
        for result in report.tasks
        # Adapters that are well and were not predicted add nothing to earlier records.
        if result.examples is not None or (result.status != "ok" and not result.confirmed_by)
    )
    new = NewVerification(
        level=report.level,
        ok=report.ok,
        checked=report.checked,
        tolerance=report.tolerance,
        environment=report.environment,
        started_at=report.started_at,
        finished_at=report.finished_at,
        run=run,
        confirmed=report.confirmed if run is not None else None,
        results=results,
        findings=tuple(FindingRecord(**vars(finding)) for finding in report.findings),
    )
    try:
        return replace(report, id=bank.verification_log.record(new))
    except BankError as error:
        return replace(report, unrecorded=str(error))
