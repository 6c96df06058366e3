"""Compares two predictions of one split, example by example. Knows nothing of torch.

Two runs of one model differ by rounding (another batch shape, thread count or processor),
so an answer that flips between two that lie closer than that noise is told apart from one
that really moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.catalog.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.kinds.kind import better, drop_of
from taskbank.specs import Definition, Json
from taskbank.verify.report import Effect, Flip
from taskbank.verify.statistics import mcnemar, paired_permutation

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

SAME_METRIC = 1e-9  # a metric is a ratio of counts: recomputed, it differs by rounding at most
SHOWN_TEXT = 120  # characters of an example that a report shows


@dataclass(frozen=True)
class Comparison:
    """What became of one split's predictions.

    Attributes:
        split: the stored split.
        metric: the task's own metric.
        metrics: every metric as the reference predictions have it, and as it is now.
        shift: the largest change of any output; infinite if one is no number any more.
        noise: how far rounding alone may move an output.
        moved: examples with an output that moved by more than that.
        broken: examples with an output that is no number any more.
        flips: every example whose answer changed.
        p_value: of the drop of the metric, one-sided and for this split alone.
        disagreements: where the recorded metrics do not follow from the reference
            predictions, so that the evidence itself is wrong.
    """

    split: SplitRecord
    metric: str
    metrics: Mapping[str, tuple[float, float]]
    shift: float
    noise: float
    moved: int
    broken: int
    flips: tuple[Flip, ...]
    p_value: float
    disagreements: tuple[str, ...]

    @property
    def recorded(self) -> float:
        """The task's metric for the reference predictions."""
        return self.metrics[self.metric][0]

    @property
    def observed(self) -> float:
        """The task's metric now."""
        return self.metrics[self.metric][1]

    @property
    def drop(self) -> float:
        """By how much the task's metric is worse; negative if it is better."""
        return drop_of(self.metric, self.recorded, self.observed)

    @property
    def real_flips(self) -> int:
        """How many answers changed by more than noise."""
        return sum(not flip.within_noise for flip in self.flips)

    def effects(self, effect: Effect) -> int:
        """Return how many answers changed for the worse, or the better, by more than noise."""
        return sum(flip.effect == effect and not flip.within_noise for flip in self.flips)

    def describe(self) -> str:
        """Return what happened in words: numbers first, then an example."""
        told = (
            f"{self.metric} on split {self.split.name!r} is {self.observed:.4f}, recorded was "
            f"{self.recorded:.4f}; {self.real_flips:,} of {self.split.rows:,} predictions flipped "
            f"beyond noise ({self.effects('worse'):,} for the worse, {self.effects('better'):,} "
            f"for the better) and {len(self.flips) - self.real_flips:,} within it, outputs moved "
            f"by up to {self.shift:.3g} (noise is {self.noise:.1g})"
        )
        first = next((flip for flip in self.flips if not flip.within_noise), None)
        if first is not None:
            told += (
                f"; for example row {first.row}, {first.text!r}: {first.recorded!r} became "
                f"{first.observed!r}"
            )
        return told


def compare(
    record: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    reference: np.ndarray,
    predictions: np.ndarray,
    noise: float,
) -> Comparison:
    """Compare what an adapter predicts now with what it predicted when it was added.

    Args:
        record: the adapter.
        split: one of its stored splits.
        examples: the split's examples.
        reference: the stored predictions, of the shape that the task's kind says.
        predictions: those of now, of the same shape.
        noise: how far rounding alone may move an output.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    columns, definition = examples.columns, record.definition
    readable = np.nan_to_num(predictions)
    before = kind.scores(reference, columns, definition)
    same = np.array_equal(reference, readable)
    after = before if same else kind.scores(readable, columns, definition)
    # What was accepted later has other metrics than those from when the adapter was added.
    own = [] if split.accepted else record.metrics
    recorded = {m.name: m.value for m in own if m.split == split.name}
    disagreements = tuple(
        f"{message}: predictions and examples do not belong together; restore the bank from a copy"
        for message in disagreeing(split.name, recorded, before)
    )
    changes = kind.changes(reference, predictions, columns, definition)
    within = changes.within(noise)
    moved = changes.moved > noise
    flipped = changes.changed & ~within
    return Comparison(
        split,
        record.metric,
        {name: (value, after[name]) for name, value in before.items()},
        float(changes.moved.max()),
        noise,
        int(moved.sum()),
        int((~np.isfinite(changes.moved)).sum()),
        flips_between(
            kind,
            examples,
            split.name,
            (reference, definition),
            (readable, definition),
            np.flatnonzero(changes.changed),
            within,
        ),
        drop_by_chance(kind, record, columns, reference, readable, flipped, moved),
        disagreements,
    )


def disagreeing(
    split: str, recorded: Mapping[str, float], recomputed: Mapping[str, float]
) -> Iterator[str]:
    """Give the metrics that do not follow from the stored predictions, in words.

    Args:
        split: its name.
        recorded: the metrics as they are stored.
        recomputed: the same from the stored predictions.
    """
    for name, value in recorded.items():
        if name in recomputed and abs(recomputed[name] - value) > SAME_METRIC:
            yield (
                f"{name} of the stored predictions on split {split!r} is "
                f"{recomputed[name]:.6f}, recorded was {value:.6f}"
            )


def drop_by_chance(
    kind: Kind,
    record: AdapterRecord,
    columns: Columns,
    reference: np.ndarray,
    predictions: np.ndarray,
    flipped: np.ndarray | None = None,
    moved: np.ndarray | None = None,
) -> float:
    """Return how likely so large a drop of an adapter's metric is by chance, one-sided.

    Args:
        kind: of the task.
        record: the adapter, whose metric and definition count.
        columns: of the examples.
        reference: what was predicted for them.
        predictions: what is predicted now, all of it numbers.
        flipped: of each example, whether its answer changed by more than rounding; none means
            wherever it changed at all.
        moved: of each example, whether an output moved by more than rounding; likewise.

    Returns:
        1 if there is no drop.
    """
    if flipped is None or moved is None:
        changes = kind.changes(reference, predictions, columns, record.definition)
        flipped, moved = changes.changed, changes.moved > 0
    if not moved.any():
        return 1.0
    definition, owner = record.definition, kind.examples_of(columns)

    def score(now: np.ndarray) -> float:
        """Return the metric, the higher the better, if only some examples are as they are now."""
        mixed = np.where(now[owner, None], predictions, reference)
        return better(record.metric, kind.scores(mixed, columns, definition)[record.metric])

    was = score(np.zeros_like(moved))
    if score(np.ones_like(moved)) >= was:
        return 1.0
    before = kind.credit(reference, columns, definition)
    after = kind.credit(predictions, columns, definition)
    if set(before) | set(after) <= {0.0, 1.0} and before.mean() == was:
        worse = int(((before > after) & flipped).sum())
        return mcnemar(worse, int(((before < after) & flipped).sum()))
    # Most metrics see nothing but the answers; few changes can then be tried in every way.
    decisive = np.flatnonzero(flipped if score(flipped) == score(moved) else moved)

    def of_decisive(chosen: np.ndarray) -> float:
        now = np.zeros_like(moved)
        now[decisive[chosen]] = True
        return score(now)

    return paired_permutation(len(decisive), of_decisive)


def flips_between(
    kind: Kind,
    examples: Examples,
    split: str,
    first: tuple[np.ndarray, Definition],
    second: tuple[np.ndarray, Definition],
    rows: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> tuple[Flip, ...]:
    """Return the examples that two predictions answer otherwise.

    Args:
        kind: of the task.
        examples: that were predicted.
        split: its name.
        first: predictions, and the definition that says how they are read.
        second: the others.
        rows: positions of the examples that count; none means those with another answer.
        within: of each example, whether rounding explains it; none means of none.
    """
    if rows is not None and not len(rows):
        return ()
    columns = examples.columns
    before, after = (kind.answers(one, columns, how) for one, how in (first, second))
    was, now = (kind.credit(one, columns, how) for one, how in (first, second))
    if rows is None:
        pairs = zip(before, after, strict=True)
        rows = np.flatnonzero([one["label"] != other["label"] for one, other in pairs])
    inputs = [values for name, values in columns.items() if name != kind.label.name]
    return tuple(
        Flip(
            split,
            int(row) + 1,
            _cut(" | ".join(_plain(values[row]) for values in inputs)),
            _cut(_plain(columns[kind.label.name][row])),
            _cut(before[row]["label"]),
            _cut(after[row]["label"]),
            _effect(was[row], now[row]),
            within is not None and bool(within[row]),
        )
        for row in rows
    )


def _effect(before: float, after: float) -> Effect:
    if before == after:
        return "neither"
    return "worse" if after < before else "better"


def _cut(text: str) -> str:
    return text[:SHOWN_TEXT]


def _plain(value: Json) -> str:
    """Return a value of an example as text for people."""
    if isinstance(value, dict):
        value = value["text"]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
