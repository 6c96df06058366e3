"""Says of every adapter that was predicted again whether it changed, and whether it matters.

An adapter is `regressed` where its metric dropped by more than the tolerance, or by more than
chance explains; `changed` where predictions moved by more than rounding, and it did not;
`ok` where they did not. The probabilities are corrected for the number of adapters, so that
among a thousand the chance of one false alarm is still that of one test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskbank.bank.records import AdapterRecord, Confirmation
from taskbank.kinds.metrics import metric_drop
from taskbank.verify.compare import Comparison
from taskbank.verify.report import Finding, Status, TaskResult
from taskbank.verify.significance import is_beyond, is_significant
from taskbank.verify.statistics import holm

SHOWN_FLIPS = 20  # a report shows so many examples of a split
WHAT_TO_DO = (
    "Compare the environment with the recorded one (taskbank show --json), or train a new version"
)


@dataclass(frozen=True)
class Evidence:
    """What was seen of one adapter.

    Attributes:
        record: the adapter.
        comparisons: one a stored split; none if it was not predicted.
        circumstances: digest of what the result depends on.
        confirmation: the earlier verification whose result still applies.
        canaries: how many examples stand for all of them, as none of them moved.
        unusable: why its weights cannot be used, if they cannot.
        unreadable: why it could not be looked at, if it could not.
        unloadable: whether its backbone could not be loaded; that is said once for all.
    """

    record: AdapterRecord
    comparisons: tuple[Comparison, ...] = ()
    circumstances: str | None = None
    confirmation: Confirmation | None = None
    canaries: int | None = None
    unusable: str | None = None
    unreadable: str | None = None
    unloadable: bool = False

    @property
    def own(self) -> Comparison:
        """The comparison of the split that the adapter's score is of."""
        return next(one for one in self.comparisons if one.split.name == self.record.split)

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Where the recorded metrics do not follow from the reference predictions."""
        return tuple(text for one in self.comparisons for text in one.disagreements)


def judge(
    evidence: Sequence[Evidence],
    *,
    tolerance: float,
    tolerances: Mapping[str, float] | None = None,
    strict: bool = False,
) -> tuple[list[Finding], list[TaskResult]]:
    """Return what is wrong, and a result for every adapter.

    Args:
        evidence: of every adapter of the verification.
        tolerance: the drop of a metric that is let pass where it may be chance.
        tolerances: of tasks that have one of their own.
        strict: whether every answer that changed by more than rounding is a finding.
    """
    findings: list[Finding] = []
    results = []
    predicted = [one for one in evidence if one.comparisons]
    corrected = iter(holm([one.own.p_value for one in predicted]))
    for one in evidence:
        p_value = next(corrected) if one.comparisons else 1.0
        own = (tolerances or {}).get(one.record.task, tolerance)
        found = list(_findings(one, p_value, own, strict=strict))
        findings += found
        results.append(_result(one, found, p_value))
    return findings, results


def still_holds(confirmation: Confirmation, metric: str, tolerance: float, *, strict: bool) -> bool:
    """Return whether the result of an earlier verification satisfies this one.

    Args:
        confirmation: the earlier result.
        metric: of the task.
        tolerance: of this verification.
        strict: whether this verification treats every changed answer as a finding.
    """
    if confirmation.status == "ok" or confirmation.observed is None:
        return confirmation.status == "ok"
    drop = metric_drop(metric, confirmation.recorded, confirmation.observed)
    return not strict and not is_beyond(drop, tolerance)


def _findings(
    evidence: Evidence, p_value: float, tolerance: float, *, strict: bool
) -> Iterator[Finding]:
    record = evidence.record

    def finding(check: str, message: str) -> Finding:
        return Finding(record.task, record.version, check, message)

    if evidence.unusable is not None:
        yield finding("weights", evidence.unusable)
    if evidence.unreadable is not None:
        yield finding("gone", evidence.unreadable)
    for disagreement in evidence.disagreements:
        yield finding("metrics", disagreement)
    if evidence.disagreements or not evidence.comparisons:
        return
    for one in evidence.comparisons:
        if one.broken:
            told = f"{one.describe()}. {one.broken:,} predictions are no numbers. {WHAT_TO_DO}"
            yield finding("regression", told)
            return
    own = evidence.own
    drop = own.drop if own.moved else 0.0
    if is_beyond(drop, tolerance):
        reason = f"it dropped by {drop:.4f}, more than the tolerance of {tolerance:g}"
    elif is_significant(drop, p_value):
        reason = f"a drop of {drop:.4f} by chance has the corrected probability {p_value:.2g}"
    else:
        reason = ""
    if reason:
        yield finding("regression", f"{own.describe()}. {reason.capitalize()}. {WHAT_TO_DO}")
    elif strict:
        for one in evidence.comparisons:
            if one.real_flips:
                yield finding("strict", f"{one.describe()}. No flip is let pass with --strict")


def _result(evidence: Evidence, found: Sequence[Finding], p_value: float) -> TaskResult:
    record, comparisons = evidence.record, evidence.comparisons
    status = _status(evidence, {finding.check for finding in found})
    if not comparisons:
        earlier = evidence.confirmation
        return TaskResult(
            record.task,
            record.version,
            status,
            record.metric,
            record.score if earlier is None else earlier.recorded,
            earlier.observed if earlier else None,
            circumstances=evidence.circumstances,
            confirmed_by=earlier.verification if earlier else None,
            canaries=evidence.canaries,
        )
    own = evidence.own
    shift = max(one.shift for one in comparisons)
    return TaskResult(
        record.task,
        record.version,
        status,
        record.metric,
        own.recorded,
        own.observed,
        sum(len(one.flips) for one in comparisons),
        sum(one.split.rows for one in comparisons),
        shift if math.isfinite(shift) else None,
        noise=max(one.noise for one in comparisons),
        within_noise=sum(len(one.flips) - one.real_flips for one in comparisons),
        negative_flips=sum(one.effects("worse") for one in comparisons),
        positive_flips=sum(one.effects("better") for one in comparisons),
        p_value=p_value,
        circumstances=evidence.circumstances,
        metrics={one.split.name: dict(one.metrics) for one in comparisons},
        flipped=tuple(flip for one in comparisons for flip in one.flips[:SHOWN_FLIPS]),
    )


def _status(evidence: Evidence, checks: set[str]) -> Status:
    if evidence.unloadable or evidence.unreadable is not None:
        return "unverifiable"
    if checks & {"weights", "metrics"}:
        return "damaged"
    if "regression" in checks:
        return "regressed"
    if evidence.confirmation is not None and evidence.confirmation.status == "changed":
        return "changed"
    return "changed" if any(one.moved for one in evidence.comparisons) else "ok"
