"""Adds the tasks of a suite: what is there is skipped, what fails does not stop the others.

What an interrupted run has trained is not trained again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.open import create_bank
from taskbank.digests import Json
from taskbank.errors import InputError, TaskbankError
from taskbank.pipeline.add_task import carry_out
from taskbank.pipeline.opening import backbone_for, open_if_there
from taskbank.pipeline.suite_file import Entry, Problem, raise_all, sound_entries
from taskbank.specs import TaskSpec
from taskbank.training.plan import TaskPlan, plan_task
from taskbank.training.trial import trial_from_record
from taskbank.training.tune import fit_to_backbone
from taskbank.verify.report import Afterwards, Report
from taskbank.verify.verify import verify_afterwards


@dataclass(frozen=True)
class Outcome:
    """What became of a task of a suite.

    Attributes:
        name: of the task.
        status: `added`; `measured`, where the method stores nothing; `skipped`: it is there
            already; `failed`.
        ref: of the adapter; none if there is none.
        metric: what the task is judged by.
        split: what the score is of.
        score: none if it failed.
        problem: why it failed.
    """

    name: str
    status: str
    metric: str
    ref: str | None = None
    split: str | None = None
    score: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class SuiteReport:
    """What became of a suite.

    Attributes:
        outcomes: one a task, in the order of the suite.
        verification: of the whole bank, at the end; none if it was not wanted.
    """

    outcomes: tuple[Outcome, ...]
    verification: Report | None

    @property
    def ok(self) -> bool:
        """Whether no task failed and nothing was found in the bank."""
        well = self.verification is None or self.verification.ok
        return well and all(one.status != "failed" for one in self.outcomes)

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
    verify: Afterwards = "changed",
    progress: bool = False,
) -> SuiteReport:
    """Add every task of a suite to a bank.

    Args:
        bank: an open bank, or a bank's URL; with a URL and `backbone` it is made if need be.
        suite: a TOML file, as the module describes.
        data: the folder in which relative files are looked for; none means the suite's own.
        backbone: where the backbone is; none means the only one that the bank knows.
        new_version: whether a task that is there with another specification gets a version.
        device: to compute on; none means the best there is.
        verify: level at which the whole bank is verified at the end, or `none`.
        progress: show bars, if the error stream is a terminal.

    Raises:
        InputError: naming everything that is wrong with the suite, with lines.
        BackboneMismatchError: if the backbone is not the recorded one.
    """
    path = Path(suite)
    entries, problems = sound_entries(path, Path(data) if data is not None else path.parent)
    with ExitStack() as stack:
        opened = bank if isinstance(bank, Bank) else open_if_there(bank, backbone, stack)
        fingerprint = _fingerprint(opened, backbone)
        plans, outcomes, others = _planned(entries, opened, fingerprint, new_version=new_version)
        raise_all(path, [*problems, *others])
        missing = [(entry, plan) for entry, plan in plans if plan.name not in outcomes]
        loaded = None
        if missing or opened is None:
            loaded = backbone_for(opened, backbone, device)
            raise_all(
                path, [_problem(e, partial(fit_to_backbone, plan, loaded)) for e, plan in missing]
            )
            if opened is None:
                opened = stack.enter_context(create_bank(str(bank)))
                opened.add_backbone(loaded.identity)
            for _, plan in missing:
                outcomes[plan.name] = _added(
                    opened, loaded, plan, new_version=new_version, progress=progress
                )
        ordered = tuple(outcomes[entry.name] for entry in entries)
        report = verify_afterwards(
            opened, verify, backbone=loaded or backbone, device=device, progress=progress
        )
        return SuiteReport(ordered, report)


def _planned(
    entries: Sequence[Entry],
    bank: Bank | None,
    fingerprint: str | None,
    *,
    new_version: bool,
) -> tuple[list[tuple[Entry, TaskPlan]], dict[str, Outcome], list[Problem | None]]:
    """Return the plan of every task, what became of those that are there already, and what is
    wrong."""
    plans: list[tuple[Entry, TaskPlan]] = []
    done: dict[str, Outcome] = {}

    def plan(entry: Entry) -> None:
        made = plan_entry(entry)
        plans.append((entry, made))
        if bank is not None:
            found = _there(bank, fingerprint, made)
            if found is not None:
                done[made.name] = found
            elif made.stored:
                bank.check_addable(made.name, made.kind.name, new_version=new_version)

    problems = [_problem(entry, partial(plan, entry)) for entry in entries]
    return plans, done, problems


def plan_entry(entry: Entry, **changes: Any) -> TaskPlan:
    """Return the plan of a suite's task.

    Args:
        entry: the task.
        changes: fields of `TaskSpec` that replace what the suite says.

    Raises:
        InputError: naming what is not usable.
    """
    return plan_task(TaskSpec.of({**entry.values, **changes, "name": entry.name}))


def _fingerprint(bank: Bank | None, backbone: str | None) -> str | None:
    """Return the fingerprint of the backbone that is meant, if the bank knows exactly one."""
    places = {backbone, backbone and str(Path(backbone).resolve())}
    known = bank.backbones() if bank is not None else ()
    meant = [one for one in known if backbone is None or one.identity.spec in places]
    return meant[0].fingerprint if len(meant) == 1 else None


def _there(bank: Bank, fingerprint: str | None, plan: TaskPlan) -> Outcome | None:
    """Return what became of a plan, if it was carried out before on the same backbone."""
    request = plan.request
    last = plan.data.scored_split
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
        and trial.value(last) is not None
    ]
    if not scored:
        return None
    # Scored on validation, every trial has a score, also those from further seeds.
    best = max(scored, key=lambda trial: trial_from_record(trial).rank(plan.metric))
    return Outcome(plan.name, "skipped", best.metric, None, last, best.value(last))


def _added(
    bank: Bank, backbone: Backbone, plan: TaskPlan, *, new_version: bool, progress: bool
) -> Outcome:
    try:
        added = carry_out(
            bank,
            backbone,
            plan,
            new_version=new_version,
            verify="none",
            resume=True,
            progress=progress,
        )
    except TaskbankError as error:
        return Outcome(plan.name, "failed", plan.metric, problem=str(error))
    except Exception as error:  # no memory, a full disk, a defect: the other tasks may still do
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
        return Outcome(plan.name, "failed", plan.metric, problem=problem)
    last = plan.data.scored_split
    score = added.trial.value(last)
    if added.record is None:
        return Outcome(plan.name, "measured", plan.metric, None, last, score)
    return Outcome(plan.name, "added", plan.metric, added.record.ref, last, score)


def _problem(entry: Entry, step: Callable[[], object]) -> Problem | None:
    try:
        step()
    except InputError as error:
        return entry.line, f"task {entry.name!r}: {error}"
    return None
