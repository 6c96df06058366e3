"""Verifies a bank: checks integrity, then predictions, and records the results in the bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from taskbank.bank.bank import Bank
from taskbank.bank.new_records import NewResult, NewVerification
from taskbank.bank.patience import store_patiently
from taskbank.bank.records import FindingRecord
from taskbank.bank.url import redacted_url
from taskbank.checks import ANY_DROP, check_tolerance
from taskbank.digests import DIGEST
from taskbank.errors import BankError, InputError, NotWritableError, ResourceError, TaskbankError
from taskbank.runtime.clock import now
from taskbank.runtime.environment import environment
from taskbank.verify.integrity import AdapterIntegrity, Integrity, check_integrity
from taskbank.verify.journal import Journal
from taskbank.verify.report import Finding, Level, LevelAfterAdding, Report, Status, TaskResult
from taskbank.verify.verdict import Standard, judge

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone


def verify_all(
    bank: Bank,
    tasks: Sequence[str] = (),
    *,
    level: Level = "full",
    tolerance: float = ANY_DROP,
    strict: bool = False,
    expect: str | None = None,
    what_if: Mapping[str, str] | None = None,
    backbone: str | Backbone | None = None,
    device: str | None = None,
    executor: str | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Report:
    """Check that everything in a bank is stored as recorded and predicts as recorded.

    Args:
        bank: an open bank; the only change to it is the record of the verification.
        tasks: references (`NAME`, `NAME@VERSION`, `NAME@ALIAS`) of the adapters to check; a bare
            name means every version in use. Empty means every adapter in use, and everything
            that belongs to no single task.
        level: `integrity` checks rows and bytes without torch. `full` also predicts every stored
            split again. `changed` predicts only adapters whose result depends on something that
            has changed since an earlier verification confirmed them, and does not read files again
            that an object store lists as unchanged since they were found intact. `canary` predicts
            a handful of examples of each split, and all of them if one moved.
        tolerance: largest metric drop to tolerate when it is not statistically significant, from
            0 to 1; 1 tolerates any such drop. A significant drop is never tolerated. The bank can
            store a separate tolerance for a task.
        strict: whether every answer that changed is a finding, even if rounding explains it.
        expect: a head that was printed earlier, which the bank's chain must contain, as its
            newest entry or an older one. For the whole bank only.
        what_if: another `backbone`, `dtype` (`float32`, `bfloat16` or `float16`), `device` or
            number of `threads` to try out, by name; nothing is recorded.
        backbone: the backbone, or where to load it from; None means its recorded source.
        device: the device to compute on; None means the device of the given backbone, or the best
            available device.
        executor: where to predict: `ray` or `ray://HOST:PORT`; None means this process.
        resume: whether to continue an interrupted verification of the same tasks and level.
        progress: whether to show a progress bar if the error stream is a terminal.

    If a server, a store, memory or a disk fails, the report has everything that was checked before,
    and says that the verification was interrupted; it is not recorded.

    Raises:
        InputError: if an argument is invalid.
        NotFoundError: if a reference does not exist.
        BackboneMismatchError: if the given backbone is not one of the bank's backbones.
    """
    if level not in get_args(Level):
        raise InputError(f"level {level!r} is unknown: use {', '.join(get_args(Level))}")
    check_tolerance(tolerance)
    if level == "integrity" and what_if:
        raise InputError(
            "level integrity predicts nothing: use --what-if with level changed, canary or full"
        )
    tasks = [tasks] if isinstance(tasks, str) else tasks
    if expect is not None:
        _check_expected(expect, tasks)
    chosen = {_select(bank, ref) for ref in tasks}

    with ExitStack() as stack:
        workers = conditions = None
        described = environment()
        if level != "integrity":
            from taskbank.verify.conditions import resolve_conditions
            from taskbank.verify.jobs import DescribeEnvironment
            from taskbank.workers.executor import executor_for, run_one

            workers = stack.enter_context(
                executor_for(
                    executor,
                    bank,
                    device=(what_if or {}).get("device", device),
                    backbone=None if isinstance(backbone, str) else backbone,
                )
            )
            conditions = resolve_conditions(what_if, backbone, device, workers)
            described = run_one(workers, DescribeEnvironment(conditions.device))
        started_at = now()
        report = Report(
            level, (), (), tolerance, described, started_at, started_at, what_if=what_if or {}
        )
        integrity = check_integrity(
            bank,
            chosen,
            expect=expect,
            rely=level == "changed",
            record=not what_if,
            progress=progress,
        )
        report = replace(
            report,
            head=integrity.head,
            expected=integrity.expected,
            unread=integrity.unread,
        )
        findings = [*integrity.findings, *_find_empty(bank, integrity)]
        journal = Journal(bank.verification_log)
        predicted: list[TaskResult] = []
        interrupted = integrity.interrupted
        if workers is not None and conditions is not None and interrupted is None:
            from taskbank.verify.predictions import gather_evidence, identify_given_backbone
            from taskbank.verify.terms import Terms

            try:
                given = identify_given_backbone(bank, conditions, workers)
                journal, report = _open_journal(bank, report, sorted(tasks), resume=resume)
                standard = Standard(tolerance, bank.tolerances(), strict)
                terms = Terms(level, conditions, standard, journal.run)
                gathered = gather_evidence(
                    bank, integrity.subjects, terms, given, journal, workers, progress=progress
                )
                judged, predicted = judge(gathered.evidence, standard)
                findings += [*gathered.findings, *judged]
                interrupted = gathered.interrupted
            except ResourceError as error:  # before anything was predicted
                interrupted = str(error)
    complete = conditions is None or interrupted is None
    results = _results(integrity, predicted, findings, complete=complete)
    report = replace(
        report,
        findings=tuple(findings),
        tasks=results,
        finished_at=now(),
        interrupted=interrupted,
    )
    if journal.problems:
        report = replace(report, unrecorded=journal.problems[0])
    if report.what_if or report.unrecorded or report.interrupted:
        return report
    return _record(bank, report, journal.run)


def verify_after_adding(bank: Bank, level: LevelAfterAdding, **given: Any) -> Report | None:
    """Verify a bank after a task was added; do nothing and return None at level `none`.

    Args:
        bank: an open bank.
        level: a level of `verify_all`, or `none`.
        given: further arguments of `verify_all`.
    """
    return None if level == "none" else verify_all(bank, level=level, **given)


def _check_expected(head: str, tasks: Sequence[str]) -> None:
    if tasks:
        raise InputError("an expected head covers the whole bank: leave out the tasks")
    if not DIGEST.fullmatch(head):
        raise InputError(
            f"the expected head {head!r} is not a head: give one as taskbank printed it, "
            "sha256: and 64 hex digits; a signed file needs the public key, --signer FILE"
        )


def _select(bank: Bank, ref: str) -> tuple[str, int | None]:
    name, version = bank.resolve(ref)
    return (name, version) if "@" in ref else (name, None)


def _find_empty(bank: Bank, integrity: Integrity) -> list[Finding]:
    """Return a finding if there is nothing to verify, which may mean that a bank was lost."""
    if integrity.interrupted or any(not adapter.retired for adapter in integrity.adapters):
        return []
    message = (
        f"the bank {redacted_url(bank.url)} has no adapters in use, so nothing was verified: add "
        "one with taskbank add-task, or name another bank with --bank"
    )
    return [Finding(None, None, "empty", message)]


def _results(
    integrity: Integrity,
    predicted: Sequence[TaskResult],
    findings: Sequence[Finding],
    *,
    complete: bool,
) -> tuple[TaskResult, ...]:
    """Return a result for every adapter in use, from its predictions or else its integrity.

    Args:
        integrity: the integrity of every adapter.
        predicted: the results of the adapters that were predicted.
        findings: all findings.
        complete: whether integrity alone is all that was asked of the other adapters.
    """
    by_ref = {(result.task, result.version): result for result in predicted}
    damaged_rows = {
        (finding.task, finding.version) for finding in findings if finding.check == "row"
    }

    def status(adapter: AdapterIntegrity) -> Status:
        return adapter.status if complete or not adapter.intact else "unchecked"

    return tuple(
        by_ref.get((adapter.task, adapter.version))
        or TaskResult(
            adapter.task,
            adapter.version,
            "damaged" if (adapter.task, adapter.version) in damaged_rows else status(adapter),
            adapter.metric,
            adapter.score,
        )
        for adapter in integrity.adapters
        if not adapter.retired
    )


def _open_journal(
    bank: Bank, report: Report, tasks: Sequence[str], *, resume: bool
) -> tuple[Journal, Report]:
    """Return the journal of a new run, or of an interrupted run to resume, and the report."""
    log = bank.verification_log
    if report.what_if:
        return Journal(log), report
    if resume:
        # Prefer the run with the most observed adapters, then the newest run.
        for run in sorted(log.unfinished_runs(), key=lambda run: (-run.adapters, -run.id)):
            if (run.level, list(run.tasks)) == (report.level, list(tasks)):
                return Journal(log, run.id), report
    try:
        return Journal(log, log.start_run(report.level, tasks, report.environment)), report
    except (BankError, NotWritableError) as error:  # verification continues
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
        # Results of adapters that are ok and were not predicted add nothing to earlier records.
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
    log = bank.verification_log

    def find() -> int | None:
        times = (new.started_at, new.finished_at)
        recorded = (v.id for v in log.verifications() if (v.started_at, v.finished_at) == times)
        return next(recorded, None)

    try:
        number = store_patiently(partial(log.record, new), find, "run the command again")
    except (BankError, NotWritableError, ResourceError) as error:
        return replace(report, unrecorded=str(error))
    with suppress(TaskbankError):  # it is recorded, even if the server is gone by now
        report = replace(report, head=bank.head())
    return replace(report, id=number)
