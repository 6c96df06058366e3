"""Turns the evidence of a verification into results and findings.

An adapter is `unstable` if its outputs depend on the batch by more than rounding explains; it is
`regressed` if its metric dropped by more than the tolerance, or significantly; otherwise it is
`changed` if its predictions moved by more than rounding, else `ok`. The metric is that of the raw
predictions: noise excuses no drop. The p-values are corrected for the number of adapters: even
among a thousand adapters, the probability of any false alarm is that of a single test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from taskbank.bank.records import AdapterRecord, Confirmation
from taskbank.kinds.metrics import metric_drop
from taskbank.verify.compare import Comparison
from taskbank.verify.report import Finding, Status, TaskResult
from taskbank.verify.significance import exceeds_tolerance, is_significant
from taskbank.verify.statistics import holm
from taskbank.verify.subject import Subject

NEXT_STEP = (
    "Compare the environment with the recorded one (taskbank show --json), or train a new version"
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence about one adapter.

    Attributes:
        subject: the adapter.
        comparisons: one comparison per stored split; empty if nothing was predicted.
        circumstances: digest of everything that the result depends on.
        confirmation: the earlier verification whose result still applies.
        canaries: number of examples predicted in place of the whole split, none of which moved.
        damage: the error that shows that its stored data is damaged, if there was one.
        failure: the error that prevented reading or predicting, if there was one.
        backbone_failed: whether its backbone could not be loaded; one finding for the bank reports
            this for all affected adapters.
    """

    subject: Subject
    comparisons: tuple[Comparison, ...] = ()
    circumstances: str | None = None
    confirmation: Confirmation | None = None
    canaries: int | None = None
    damage: str | None = None
    failure: str | None = None
    backbone_failed: bool = False

    @property
    def main_comparison(self) -> Comparison:
        """The comparison of the adapter's scored split."""
        return next(c for c in self.comparisons if c.split.name == self.subject.verified_split)

    @property
    def disagreements(self) -> tuple[str, ...]:
        """The recorded metrics that the reference predictions contradict."""
        return tuple(text for c in self.comparisons for text in c.disagreements)


@dataclass(frozen=True)
class Standard:
    """What a verification asks of a result.

    Attributes:
        tolerance: largest metric drop to tolerate when it is not statistically significant.
        tolerances: the tolerances of single tasks.
        strict: whether every changed answer is a finding.
    """

    tolerance: float
    tolerances: Mapping[str, float] = field(default_factory=dict)
    strict: bool = False

    def tolerance_of(self, task: str) -> float:
        """Return the tolerance of a task."""
        return self.tolerances.get(task, self.tolerance)

    def met_by(self, earlier: Confirmation, record: AdapterRecord) -> bool:
        """Return whether an earlier result of an adapter is good enough.

        Args:
            earlier: the earlier result.
            record: the adapter.
        """
        if earlier.status == "ok" or earlier.observed is None:
            return earlier.status == "ok"
        drop = metric_drop(record.metric, earlier.recorded, earlier.observed)
        tolerated = not exceeds_tolerance(drop, self.tolerance_of(record.task))
        return tolerated and not self.strict


def judge(
    evidence: Sequence[Evidence], standard: Standard
) -> tuple[list[Finding], list[TaskResult]]:
    """Return the findings, and one result per adapter.

    Args:
        evidence: the evidence of every adapter in the verification.
        standard: what is asked of every result.
    """
    findings: list[Finding] = []
    results = []
    p_values = [item.main_comparison.p_value for item in evidence if item.comparisons]
    corrected = iter(holm(p_values))
    for item in evidence:
        p_value = next(corrected) if item.comparisons else 1.0
        own_findings = list(_findings(item, p_value, standard))
        findings += own_findings
        results.append(_result(item, own_findings, p_value))
    return findings, results


def _findings(evidence: Evidence, p_value: float, standard: Standard) -> Iterator[Finding]:
    subject = evidence.subject
    tolerance = standard.tolerance_of(subject.task)

    def finding(check: str, message: str) -> Finding:
        return Finding(subject.task, subject.version, check, message)

    if evidence.damage is not None:
        yield finding("weights", evidence.damage)
    if evidence.failure is not None:
        yield finding("gone", evidence.failure)
    for disagreement in evidence.disagreements:
        yield finding("metrics", disagreement)
    if evidence.disagreements or not evidence.comparisons:
        return
    main = evidence.main_comparison
    unstable = next((c for c in evidence.comparisons if c.instability is not None), None)
    if unstable is not None:
        yield finding("unstable", f"{unstable.describe()}. {unstable.instability}")
    for comparison in evidence.comparisons:
        if comparison.broken:
            message = (
                f"{comparison.describe()}. {comparison.broken:,} predictions are NaN or infinite. "
                f"{NEXT_STEP}"
            )
            yield finding("regression", message)
            return
    drop = main.drop if main.differs else 0.0
    if exceeds_tolerance(drop, tolerance):
        reason = f"the metric dropped by {drop:.4f}, more than the tolerance of {tolerance:g}"
    elif is_significant(drop, p_value):
        reason = (
            f"the drop of {drop:.4f} is statistically significant (corrected p-value {p_value:.2g})"
        )
    else:
        reason = ""
    if reason:
        yield finding("regression", f"{main.describe()}. {reason.capitalize()}. {NEXT_STEP}")
    elif standard.strict:
        for comparison in evidence.comparisons:
            if comparison.changed:
                description = comparison.describe()
                message = f"{description}. --strict treats every changed prediction as a failure"
                yield finding("strict", message)


def _result(evidence: Evidence, found: Sequence[Finding], p_value: float) -> TaskResult:
    subject, comparisons = evidence.subject, evidence.comparisons
    status = _status(evidence, {finding.check for finding in found})
    if not comparisons:
        earlier = evidence.confirmation
        return TaskResult(
            subject.task,
            subject.version,
            status,
            subject.metric,
            subject.score if earlier is None else earlier.recorded,
            earlier.observed if earlier else None,
            circumstances=evidence.circumstances,
            confirmed_by=earlier.verification if earlier else None,
            canaries=evidence.canaries,
        )
    main = evidence.main_comparison
    shift = max(comparison.shift for comparison in comparisons)
    return TaskResult(
        subject.task,
        subject.version,
        status,
        subject.metric,
        main.recorded,
        main.observed,
        sum(comparison.changed for comparison in comparisons),
        sum(comparison.split.rows for comparison in comparisons),
        shift if math.isfinite(shift) else None,
        noise=max(comparison.noise for comparison in comparisons),
        within_noise=sum(comparison.changed - comparison.real_flips for comparison in comparisons),
        negative_flips=sum(comparison.effects["worse"] for comparison in comparisons),
        positive_flips=sum(comparison.effects["better"] for comparison in comparisons),
        p_value=p_value,
        circumstances=evidence.circumstances,
        metrics={comparison.split.name: dict(comparison.metrics) for comparison in comparisons},
        flipped=tuple(flip for comparison in comparisons for flip in comparison.flips),
    )


def _status(evidence: Evidence, checks: set[str]) -> Status:
    if evidence.backbone_failed or evidence.failure is not None:
        return "unverifiable"
    if checks & {"weights", "metrics"}:
        return "damaged"
    if "unstable" in checks:
        return "unstable"
    if "regression" in checks:
        return "regressed"
    if evidence.confirmation is not None and evidence.confirmation.status == "changed":
        return "changed"
    return "changed" if any(comparison.moved for comparison in evidence.comparisons) else "ok"
