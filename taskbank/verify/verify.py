"""One run of the checks: integrity, then predictions, then the record of both in the bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from taskbank.bank.bank import Bank
from taskbank.bank.catalog.database import writing
from taskbank.bank.catalog.raw_rows import UNREADABLE
from taskbank.bank.catalog.rows import now
from taskbank.bank.records import AdapterRecord, Voucher
from taskbank.checks import ANY_DROP, check_tolerance
from taskbank.digests import Json
from taskbank.errors import BankError, InputError, TaskbankError
from taskbank.runtime.environment import environment
from taskbank.verify.integrity import Integrity, check_integrity
from taskbank.verify.journal import Run
from taskbank.verify.report import Afterwards, Finding, Level, Report, TaskResult
from taskbank.verify.verdict import judge, speaks

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
    run = Run(bank)
    predicted: list[TaskResult] = []
    if asked is not None:
        from taskbank.verify.predictions import gather, given_backbone

        sound = _readable(bank, integrity, findings)
        given = given_backbone(bank, asked)
        run, report = _run(bank, report, sorted(tasks), resume=resume)
        own = bank.tolerances()

        def enough(record: AdapterRecord, voucher: Voucher) -> bool:
            allowed = own.get(record.task, tolerance)
            return speaks(voucher, record.metric, allowed, strict=strict)

        unloadable, evidence = gather(
            bank, sound, level, asked, given, run, enough, progress=progress
        )
        judged, predicted = judge(evidence, tolerance=tolerance, tolerances=own, strict=strict)
        findings += unloadable + judged
    by_ref = {(result.task, result.version): result for result in predicted}
    results = [by_ref.get((one.task, one.version), one) for one in _results(integrity)]
    report = replace(report, findings=tuple(findings), tasks=tuple(results), finished_at=now())
    if run.problems:
        report = replace(report, unrecorded=run.problems[0])
    return report if report.what_if or report.unrecorded else _record(bank, report, run)


def verify_afterwards(bank: Bank, level: Afterwards, **given: Any) -> Report | None:
    """Verify a bank that something was added to; none if that is not wanted.

    Args:
        bank: an open bank.
        level: as for `verify_all`, or `none`.
        given: what else `verify_all` takes.
    """
    return None if level == "none" else verify_all(bank, level=level, **given)


def _chosen(bank: Bank, ref: str) -> tuple[str, int | None]:
    name, version = bank.catalog.resolve(ref)
    return (name, version) if "@" in ref else (name, None)


def _results(integrity: Integrity) -> list[TaskResult]:
    return [
        TaskResult(one.task, one.version, one.status, one.metric, one.score)
        for one in integrity.adapters.values()
        if not one.retired
    ]


def _readable(bank: Bank, integrity: Integrity, findings: list[Finding]) -> list[AdapterRecord]:
    sound = [one for one in integrity.adapters.values() if not (one.damaged or one.retired)]
    try:
        known = {(record.task, record.version): record for record in bank.adapters()}
    except (TaskbankError, *UNREADABLE):  # because of another adapter
        known = {}
    records = []
    for one in sound:
        try:
            found = known.get((one.task, one.version))
            records.append(found or bank[f"{one.task}@{one.version}"])
        except TaskbankError as error:  # it was changed or removed since
            one.damaged = True
            findings.append(Finding(one.task, one.version, "row", str(error)))
    return records


def _run(bank: Bank, report: Report, tasks: Sequence[str], *, resume: bool) -> tuple[Run, Report]:
    """Return where to record what is predicted: in a new run, or one that did not end."""
    if report.what_if:
        return Run(bank), report
    for run in _unfinished(bank) if resume else []:
        if (run["level"], run["tasks"]) == (report.level, tasks):
            return Run(bank, run["id"], bank.verifications.observations(run["id"])), report
    try:
        return Run(bank, bank.start_run(report.level, tasks, report.environment)), report
    except BankError as error:  # a bank that cannot be written to is still reported on
        return Run(bank), replace(report, unrecorded=str(error))


def _unfinished(bank: Bank) -> list[dict[str, Json]]:
    """Return the runs that did not end, the one that saw most first, the newest of equal ones."""
    return sorted(
        bank.verifications.unfinished_runs(), key=lambda run: (-run["adapters"], -run["id"])
    )


EVIDENCE = ("noise", "within_noise", "negative_flips", "positive_flips", "p_value", "metrics")


def _record(bank: Bank, report: Report, run: Run) -> Report:
    values = {
        "level": report.level,
        "ok": report.ok,
        "checked": report.checked,
        "tolerance": report.tolerance,
        "environment": report.environment,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "run_id": run.number,
        "vouched": report.vouched if run.number is not None else None,
    }
    names = ("task", "version", "status", "metric", "recorded", "observed", "flips", "examples")
    results = [
        {name: getattr(result, name) for name in (*names, "shift", "circumstances")}
        | {"evidence": {name: getattr(result, name) for name in EVIDENCE}}
        for result in report.tasks
        # What was not predicted and is well has nothing to tell that is not recorded already.
        if result.examples is not None or (result.status != "ok" and not result.vouched_by)
    ]
    findings = [dict(vars(finding)) for finding in report.findings]
    try:
        with writing(bank.engine) as connection:
            number = bank.verifications.add(connection, values, results, findings)
    except BankError as error:
        return replace(report, unrecorded=str(error))
    return replace(report, id=number)
