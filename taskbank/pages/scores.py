"""A version's score with the interval in which the value of unlimited data lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taskbank import plugins
from taskbank.bank.records import AdapterRecord, MetricRecord
from taskbank.errors import InputError
from taskbank.kinds.intervals import Z, interval


@dataclass(frozen=True)
class Score:
    """A metric's value on a split, with its 95 % interval.

    Attributes:
        metric: the metric's name.
        split: the split's name.
        value: the value.
        low: the lower end of the interval; None if there is no standard error.
        high: its upper end.
        standard_error: the stored standard error; None if there is none.
        count: number of examples; None if it was not recorded.
        share: whether the value is a share, from 0 to 1.
    """

    metric: str
    split: str
    value: float
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    count: int | None = None
    share: bool = False


def score_of(record: AdapterRecord) -> Score:
    """Return a version's score."""
    key = (record.split, record.metric)
    for measured in record.metrics:
        if (measured.split, measured.name) == key:
            return measured_score(record.kind, measured)
    return Score(record.metric, record.split, record.score)


def metric_scores(record: AdapterRecord) -> tuple[Score, ...]:
    """Return every metric of a version."""
    return tuple(measured_score(record.kind, measured) for measured in record.metrics)


def measured_score(kind: str, measured: MetricRecord) -> Score:
    """Return a metric's value with its interval: Wilson's for a share, else from the error."""
    try:
        found = interval(plugins.load("kinds", kind), measured)
    except InputError:  # the package with this kind is not installed
        found = None
    reach = Z * measured.standard_error
    low, high = found or (measured.value - reach, measured.value + reach)
    return Score(
        measured.name,
        measured.split,
        measured.value,
        low,
        high,
        measured.standard_error,
        measured.count,
        found is not None,
    )


def comparable(scores: Iterable[Score]) -> bool:
    """Return whether scores are values of one metric on splits of one name."""
    return len({(score.metric, score.split) for score in scores}) <= 1
