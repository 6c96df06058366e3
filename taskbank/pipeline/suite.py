"""Adds the tasks of a suite: skips tasks that are stored, and continues when a task fails.

Nothing that an interrupted run has trained is trained again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.bank.records import TrialRecord
from taskbank.data.repeat_remarks import contradictions_remark, in_train_remark
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.pipeline.opening import open_if_exists, resolve_backbone
from taskbank.pipeline.suite_file import Entry, Problem, raise_problems, valid_entries
from taskbank.pipeline.train_and_store import train_and_store
from taskbank.pipeline.training_job import TrainingJob
from taskbank.specs import TaskSpec
from taskbank.training.plan import TaskPlan, plan_task
from taskbank.training.start import read_starts
from taskbank.training.trial import trial_from_record
from taskbank.training.tune import fit_to_backbone
from taskbank.verify.report import LevelAfterAdding, Report, check_level_after_adding
from taskbank.verify.verify import verify_after_adding
from taskbank.workers.executor import check_place, executor_for
from taskbank.workers.job import Finished
from taskbank.workers.worker import Worker


@dataclass(frozen=True)
class Outcome:
    """The outcome of one task of a suite.

    Attributes:
        name: the task's name.
        status: `added`; `measured` if only its scores are stored; `skipped` if the bank already has
            it; or `failed`.
        ref: the adapter's reference; None if no adapter is stored.
        metric: the name of the task's metric.
        split: the name of the split that provides the score.
        score: the task's score; None if the task failed.
        problem: error message of a failed task.
        remarks: what to know about the data of a task that was added: inputs that are also in
            train, and equal inputs with different labels.
    """

    name: str
    status: str
    metric: str
    ref: str | None = None
    split: str | None = None
    score: float | None = None
    problem: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuiteReport:
    """The result of adding a suite.

    Attributes:
        outcomes: one outcome per task, in the order of the suite.
        verification: the final report on the whole bank; None if no verification was requested.
    """

    outcomes: tuple[Outcome, ...]
    verification: Report | None

    @property
    def ok(self) -> bool:
        """Whether no task failed and the verification has no findings."""
        verified = self.verification is None or self.verification.ok
        return verified and all(outcome.status != "failed" for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """The exit code: 1 if a task failed, else that of the verification."""
        if self.verification is None or any(o.status == "failed" for o in self.outcomes):
            return int(not self.ok)
        return self.verification.exit_code

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank add-tasks --json` prints."""
        return {
            "ok": self.ok,
            "tasks": [vars(outcome) for outcome in self.outcomes],
            "verification": None if self.verification is None else self.verification.to_json(),
        }


def add_tasks(
    bank: Bank | str,
    suite: str | Path,
    *,
    data: str | Path | None = None,
    backbone: str | None = None,
    new_version: bool = False,
    device: str | None = None,
    executor: str | None = None,
    verify: LevelAfterAdding = "changed",
    progress: bool = False,
) -> SuiteReport:
    """Add every task of a suite to a bank.

    Args:
        bank: an open bank, or a bank's URL; given a URL and `backbone`, a bank that does not exist
            is created.
        suite: path of a TOML file in the format that `suite_file` describes.
        data: the folder that relative paths refer to; None means the suite's folder.
        backbone: the backbone's source; None means the only backbone of the bank.
        new_version: whether to add a version if a task exists with another specification.
        device: `cpu` or `cuda`; None means a GPU if there is one.
        executor: where to train and verify: `ray` or `ray://HOST:PORT`; None means this process.
        verify: level at which the whole bank is verified at the end, or `none`.
        progress: whether to show progress bars if stderr is a terminal.

    Raises:
        InputError: if the suite is invalid; the message lists every problem with its line.
        BackboneMismatchError: if the backbone differs from the recorded one.
    """
    check_place(executor)
    check_level_after_adding(verify)
    path = Path(suite)
    entries, problems = valid_entries(path, Path(data) if data is not None else path.parent)
    with ExitStack() as stack:
        opened = bank if isinstance(bank, Bank) else open_if_exists(bank, backbone, stack)
        fingerprint = _fingerprint(opened, backbone)
        plans, outcomes, plan_problems = _plan_entries(
            entries, opened, fingerprint, new_version=new_version
        )
        raise_problems(path, [*problems, *plan_problems])
        missing = [(entry, plan) for entry, plan in plans if plan.name not in outcomes]
        loaded = None
        if missing or opened is None:
            loaded = resolve_backbone(opened, backbone, device)
            raise_problems(
                path,
                [_check(entry, partial(fit_to_backbone, plan, loaded)) for entry, plan in missing],
            )
            if opened is None:
                opened = stack.enter_context(create_bank(str(bank)))
                opened.add_backbone(loaded.identity)
            with executor_for(executor, opened, device=device, backbone=loaded) as workers:
                jobs = [
                    TrainTask(
                        plan,
                        loaded.identity,
                        workers.pick_device(device),
                        new_version=new_version,
                        progress=progress and workers.in_process,
                    )
                    for _, plan in missing
                ]
                for finished in workers.run(jobs, caption="tasks", unit="task", progress=progress):
                    plan = jobs[finished.index].plan
                    outcomes[plan.name] = _outcome(plan, finished)
        ordered = tuple(outcomes[entry.name] for entry in entries)
        report = verify_after_adding(
            opened,
            verify,
            backbone=loaded or backbone,
            device=device,
            executor=executor,
            progress=progress,
        )
        return SuiteReport(ordered, report)


@dataclass(frozen=True)
class TrainTask(TrainingJob):
    """Trains a task of a suite and stores it: a job.

    Attributes:
        new_version: whether to add a version if the task already exists.
        progress: whether to show progress bars if stderr is a terminal.
    """

    new_version: bool
    progress: bool

    def run(self, worker: Worker) -> Outcome:
        """Train the task and store it, unless another process has meanwhile; see `Job.run`."""
        plan = self.plan
        existing = _existing_outcome(worker.bank, self.backbone.fingerprint, plan)
        if existing is not None:
            worker.advance(1)
            return existing
        added = train_and_store(
            worker.bank,
            worker.backbone(self.backbone, self.device),
            plan,
            new_version=self.new_version,
            once=True,
            verify="none",
            resume=True,
            progress=self.progress,
        )
        worker.advance(1)
        split, ref = plan.data.scored_split, None if added.record is None else added.record.ref
        return Outcome(
            plan.name,
            "measured" if ref is None else "added",
            plan.metric,
            ref,
            split,
            added.trial.value(split),
            remarks=_remarks(added.trial),
        )


def _plan_entries(
    entries: Sequence[Entry],
    bank: Bank | None,
    fingerprint: str | None,
    *,
    new_version: bool,
) -> tuple[list[tuple[Entry, TaskPlan]], dict[str, Outcome], list[Problem | None]]:
    """Return the plan of every task, the outcomes of tasks that exist already, and problems."""
    plans: list[tuple[Entry, TaskPlan]] = []
    outcomes: dict[str, Outcome] = {}

    def plan(entry: Entry) -> None:
        task_plan = plan_entry(entry, bank)
        plans.append((entry, task_plan))
        if bank is not None:
            outcome = _existing_outcome(bank, fingerprint, task_plan)
            if outcome is not None:
                outcomes[task_plan.name] = outcome
            elif task_plan.stored:
                bank.check_can_add(task_plan.name, task_plan.kind.name, new_version=new_version)

    problems = [_check(entry, partial(plan, entry)) for entry in entries]
    return plans, outcomes, problems


def plan_entry(entry: Entry, bank: Bank | None = None, **changes: Any) -> TaskPlan:
    """Return the plan of a suite's task.

    Args:
        entry: the task's entry in the suite.
        bank: the bank with the version that the task starts from; None if there is no bank yet.
        changes: values of `TaskSpec` fields that replace those of the entry.

    Raises:
        InputError: if the specification or the data is invalid.
    """
    spec = TaskSpec.of({**entry.values, **changes, "name": entry.name})
    return plan_task(spec, read_starts(bank, spec))


def _fingerprint(bank: Bank | None, backbone: str | None) -> str | None:
    """Return the fingerprint of the requested backbone if the bank has exactly one match."""
    sources = [] if backbone is None else [backbone, str(Path(backbone).resolve())]
    records = bank.backbones() if bank is not None else ()
    matching = [
        record
        for record in records
        if backbone is None or any(map(record.identity.is_from, sources))
    ]
    return matching[0].fingerprint if len(matching) == 1 else None


def _existing_outcome(bank: Bank, fingerprint: str | None, plan: TaskPlan) -> Outcome | None:
    """Return the outcome of an earlier run of the same plan on the same backbone, if any."""
    request = plan.request
    split = plan.data.scored_split
    if plan.stored:
        for record in bank.adapters(task=plan.name):
            if (record.backbone, record.request) == (fingerprint, request):
                return Outcome(
                    plan.name, "skipped", record.metric, record.ref, record.split, record.score
                )
        return None
    scored = [
        trial
        for trial in bank.trials(plan.name)
        if (trial.backbone, trial.request) == (fingerprint, request)
        and trial.value(split) is not None
    ]
    if not scored:
        return None
    # If validation provides the score, several trials have one; the best counts.
    best = max(scored, key=lambda trial: trial_from_record(trial).rank(plan.metric))
    return Outcome(plan.name, "skipped", best.metric, None, split, best.value(split))


def _outcome(plan: TaskPlan, finished: Finished[Outcome]) -> Outcome:
    """Return the outcome of a task, also of one that failed."""
    if finished.error is None:
        return finished.get()
    if finished.traceback:
        print(finished.traceback, file=sys.stderr)
    return Outcome(plan.name, "failed", plan.metric, problem=finished.problem)


def _remarks(trial: TrialRecord) -> tuple[str, ...]:
    """Return what to know about the data of a trial."""
    by_split = {
        split: in_train_remark(split, part["rows"], trial.course)
        for split, part in trial.data.items()
    }
    remarks = [f"{split}: {remark}" for split, remark in by_split.items() if remark]
    contradictions = contradictions_remark(trial.course)
    return (*remarks, *([] if contradictions is None else [contradictions]))


def _check(entry: Entry, step: Callable[[], object]) -> Problem | None:
    try:
        step()
    except InputError as error:
        return entry.line, f"task {entry.name!r}: {error}"
    return None
