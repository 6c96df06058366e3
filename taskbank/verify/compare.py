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
from taskbank.bank.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.kinds.metrics import metric_drop
from taskbank.verify.flips import flips_between
from taskbank.verify.report import Effect, Flip
from taskbank.verify.significance import SAME_METRIC, drop_by_chance

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


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
        return metric_drop(self.metric, self.recorded, self.observed)

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
