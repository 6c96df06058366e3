"""The result of each adapter in a verification: as recorded, or as it has just been found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from taskbank.bank.bank import Bank
from taskbank.bank.records import ResultRecord
from taskbank.pages.charts import Sparkline, sparkline
from taskbank.verify.report import Flip, TaskResult

TREND = 30  # verifications of a sparkline


@dataclass(frozen=True)
class Moved:
    """A metric's value for the reference predictions and for the new ones."""

    split: str
    metric: str
    recorded: float
    observed: float


@dataclass(frozen=True)
class ResultRow:
    """The result of an adapter.

    Attributes:
        task: the task's name.
        version: the adapter's version.
        status: its status.
        metric: the task's metric.
        recorded: the metric's value for the reference predictions; None if it is not known.
        observed: the metric's value for the new predictions; None if nothing was predicted.
        trend: its score over verifications; None if there are fewer than two.
        flips: number of examples whose answer changed; None if nothing was predicted.
        worse: number of those beyond noise whose answer became less correct.
        better: number of those beyond noise whose answer became more correct.
        p_value: the probability of so large a drop by chance, corrected by Holm's method.
        examples: number of examples.
        confirmed_by: number of the earlier verification whose result still applies.
        metrics: every metric before and after.
        flipped: the first examples that flipped, where they are known.
    """

    task: str
    version: int
    status: str
    metric: str | None
    recorded: float | None
    observed: float | None
    trend: Sparkline | None
    flips: int | None
    worse: int | None
    better: int | None
    p_value: float | None
    examples: int | None
    confirmed_by: int | None
    metrics: tuple[Moved, ...]
    flipped: tuple[Flip, ...]

    @property
    def ref(self) -> str:
        """The version's full name: `sst2@3`."""
        return f"{self.task}@{self.version}"


def trends_of(bank: Bank, results: Sequence[ResultRecord]) -> dict[str, Sparkline]:
    """Return the scores over verifications of the versions of some results, by full names."""
    scores: dict[str, list[float]] = defaultdict(list)
    versions = [(result.task, result.version) for result in results]
    for result in bank.verification_log.recent_results(versions, each=TREND):
        if result.observed is not None:
            scores[f"{result.task}@{result.version}"].append(result.observed)
    lines = ((ref, sparkline(values)) for ref, values in scores.items())
    return {ref: line for ref, line in lines if line is not None}


def recorded_row(result: ResultRecord, trend: Sparkline | None) -> ResultRow:
    """Return a result that was recorded, with the version's scores over verifications."""
    evidence = result.evidence or {}
    return ResultRow(
        result.task,
        result.version,
        result.status,
        result.metric,
        result.recorded,
        result.observed,
        trend,
        result.flips,
        _whole(evidence.get("negative_flips")),
        _whole(evidence.get("positive_flips")),
        _real(evidence.get("p_value")),
        result.examples,
        None,
        tuple(_moved(evidence.get("metrics"))),
        (),
    )


def fresh_row(task: TaskResult, trend: Sparkline | None) -> ResultRow:
    """Return a result of a verification that has just ended, as `recorded_row` does."""
    return ResultRow(
        task.task,
        task.version,
        task.status,
        task.metric,
        task.recorded,
        task.observed,
        trend,
        task.flips,
        task.negative_flips,
        task.positive_flips,
        task.p_value,
        task.examples,
        task.confirmed_by,
        tuple(_moved({split: dict(metrics) for split, metrics in task.metrics.items()})),
        task.flipped,
    )


def _moved(metrics: object) -> Iterable[Moved]:
    """Yield every metric before and after, from evidence that may be of any shape."""
    for split, values in metrics.items() if isinstance(metrics, Mapping) else ():
        for name, pair in values.items() if isinstance(values, Mapping) else ():
            numbers = [_real(one) for one in pair] if isinstance(pair, Sequence) else []
            if len(numbers) == 2 and numbers[0] is not None and numbers[1] is not None:
                yield Moved(str(split), str(name), numbers[0], numbers[1])


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _real(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
