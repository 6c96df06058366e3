"""Collects the evidence of a verification: the new predictions of every adapter.

Stored splits are predicted again and compared, example by example, with the reference predictions;
the original data files are not needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from taskbank.backbone.load import absolute_spec
from taskbank.bank.bank import Bank
from taskbank.errors import ResourceError
from taskbank.model.load import check_backbone, confirm_backbone
from taskbank.specs import BackboneIdentity
from taskbank.verify.conditions import Conditions
from taskbank.verify.jobs import IdentifyBackbone, PredictAdapters, Predicted
from taskbank.verify.journal import Journal
from taskbank.verify.observer import into_groups
from taskbank.verify.report import Finding
from taskbank.verify.subject import Subject
from taskbank.verify.terms import Terms
from taskbank.verify.verdict import Evidence
from taskbank.workers.executor import run_one

if TYPE_CHECKING:
    from taskbank.workers.job import Executor


@dataclass
class Gathered:
    """What was gathered.

    Attributes:
        findings: findings about backbones.
        evidence: the evidence of every adapter, or of those before an interruption.
        interrupted: the failure that ended the gathering early.
    """

    findings: list[Finding] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    interrupted: str | None = None


def identify_given_backbone(
    bank: Bank, conditions: Conditions, executor: Executor
) -> BackboneIdentity | None:
    """Return the identity of the given backbone; None if none was given.

    Args:
        bank: an open bank.
        conditions: the conditions of the verification.
        executor: where the backbone is loaded if it is given by its place.

    Raises:
        InputError: if the backbone cannot be loaded.
        BackboneMismatchError: if the bank has no such backbone and it is not a what-if override.
    """
    if conditions.backbone is None:
        return None
    if isinstance(conditions.backbone, str):
        spec = absolute_spec(conditions.backbone)  # workers have another working directory
        given = run_one(executor, IdentifyBackbone(spec, conditions.device))
    else:
        given = conditions.backbone.identity
    if "backbone" not in conditions.overrides:
        known = {stored.fingerprint: stored.identity for stored in bank.backbones()}
        if given.fingerprint in known:
            confirm_backbone(bank, given, known[given.fingerprint])
        elif known:
            check_backbone(given, next(iter(known.values())))
    return given


def gather_evidence(
    bank: Bank,
    subjects: Sequence[Subject],
    terms: Terms,
    given: BackboneIdentity | None,
    journal: Journal,
    executor: Executor,
    *,
    progress: bool = False,
) -> Gathered:
    """Return findings about backbones, and the evidence of every adapter.

    The evidence holds either new predictions or an earlier result that still applies. If a server,
    a store or memory fails, what was gathered before is returned.

    Args:
        bank: an open bank.
        subjects: the adapters, whose integrity was checked.
        terms: the terms of the verification.
        given: the given backbone; None means the recorded ones.
        journal: the journal that records the predictions.
        executor: where to predict.
        progress: whether to show a progress bar if the error stream is a terminal.
    """
    jobs = _jobs(bank, subjects, terms, given, executor)
    gathered = Gathered()
    by_job: dict[int, Predicted] = {}
    for finished in executor.run(jobs, caption="verifying", unit="adapter", progress=progress):
        lack = finished.error if isinstance(finished.error, ResourceError) else None
        found = finished.get() if lack is None else finished.result or Predicted()
        by_job[finished.index] = found
        journal.problems.extend(found.unrecorded)
        if lack is not None:
            gathered.interrupted = str(lack)
            break
    failed: dict[str, list[Subject]] = defaultdict(list)
    for index in sorted(by_job):
        found = by_job[index]
        gathered.evidence += found.evidence
        if found.backbone is not None:
            own = list(chain.from_iterable(jobs[index].groups))
            gathered.evidence += [Evidence(subject, backbone_failed=True) for subject in own]
            failed[found.backbone] += own
    gathered.findings += [_backbone_finding(own, problem) for problem, own in failed.items()]
    return gathered


def _jobs(
    bank: Bank,
    subjects: Sequence[Subject],
    terms: Terms,
    given: BackboneIdentity | None,
    executor: Executor,
) -> list[PredictAdapters]:
    by_backbone: dict[str, list[Subject]] = defaultdict(list)
    for subject in subjects:
        by_backbone[subject.backbone].append(subject)
    # Workers load the backbone by its identity.
    shipped = replace(terms, conditions=replace(terms.conditions, backbone=None))
    jobs = []
    for fingerprint, own in by_backbone.items():
        identity = _identity(bank, given, fingerprint, terms.conditions)
        groups = tuple(into_groups(own))
        # In this process one job has all groups, so that it keeps what versions of a task share.
        for part in [groups] if executor.in_process else [(group,) for group in groups]:
            jobs.append(PredictAdapters(part, identity, shipped))
    return jobs


def _identity(
    bank: Bank, given: BackboneIdentity | None, fingerprint: str, conditions: Conditions
) -> BackboneIdentity:
    """Return the backbone to predict with: the given one, or else the recorded one."""
    if given is not None and (
        "backbone" in conditions.overrides or given.fingerprint == fingerprint
    ):
        return given
    return bank.backbone(fingerprint).identity


def _backbone_finding(group: Sequence[Subject], problem: str) -> Finding:
    names = ", ".join(subject.ref for subject in group)
    return Finding(None, None, "backbone", f"{problem} (affects {names})")
