"""Compares two predictions of one split, example by example. Knows nothing of torch.

Two runs of one model differ by rounding (another batch shape, thread count or processor),
so a label that flips between two classes whose reference logits are closer than that noise
is told apart from one that really moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.catalog.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.kinds.kind import better
from taskbank.specs import Json
from taskbank.verify.report import Flip

if TYPE_CHECKING:
    from taskbank.kinds.kind import Changes, Kind

SAME_METRIC = 1e-9  # a metric is a ratio of counts: recomputed, it differs by rounding at most
SHOWN_TEXT = 120  # characters of an example that a report shows


@dataclass(frozen=True)
class Comparison:
    """What became of one split's predictions.

    Attributes:
        split: the stored split.
        metric: the task's own metric.
        recorded: its value for the reference predictions.
        observed: its value now.
        shift: the largest change of any output; infinite if one is no number any more.
        noise: how far rounding alone may move an output.
        flips: every example whose predicted label changed.
        disagreements: where the recorded metrics do not follow from the reference
            predictions, so that the evidence itself is wrong.
    """

    split: SplitRecord
    metric: str
    recorded: float
    observed: float
    shift: float
    noise: float
    flips: tuple[Flip, ...]
    disagreements: tuple[str, ...]

    @property
    def real_flips(self) -> int:
        """How many flips are more than numerical noise."""
        return sum(not flip.within_noise for flip in self.flips)

    def regressed(self, tolerance: float) -> bool:
        """Whether the task predicts worse, or too differently, beyond noise.

        Args:
            tolerance: the drop of the metric, and the share of flips, that is let pass.
        """
        if not self.real_flips:
            return False
        drop = better(self.metric, self.recorded) - better(self.metric, self.observed)
        return drop > tolerance or self.real_flips / self.split.rows > tolerance

    def describe(self) -> str:
        """Return the regression in words: numbers first, then an example, then what to do."""
        first = next(flip for flip in self.flips if not flip.within_noise)
        return (
            f"{self.metric} on split {self.split.name!r} is {self.observed:.4f}, recorded was "
            f"{self.recorded:.4f}; {self.real_flips:,} of {self.split.rows:,} predictions flipped "
            f"beyond noise and {len(self.flips) - self.real_flips:,} within it, logits moved by "
            f"up to {self.shift:.3g} (noise is {self.noise:.1g}); for example row {first.row}, "
            f"{first.text!r}: {first.recorded!r} became {first.observed!r}. Compare the "
            "environment with the recorded one (taskbank show --json), or train a new version"
        )


def compare(
    record: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    reference: np.ndarray,
    predictions: np.ndarray,
) -> Comparison:
    """Compare what an adapter predicts now with what it predicted when it was added.

    Args:
        record: the adapter.
        split: one of its stored splits.
        examples: the split's examples.
        reference: the stored predictions, of the shape that the task's kind says.
        predictions: those of now, of the same shape.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    columns, definition = examples.columns, record.definition
    recomputed = kind.scores(reference, columns, definition)
    recorded = {m.name: m.value for m in record.metrics if m.split == split.name}
    disagreements = tuple(
        f"{message}: predictions and examples do not belong together; restore the bank from a copy"
        for message in disagreeing(split.name, recorded, recomputed)
    )
    changes = kind.changes(reference, predictions, columns, definition)
    return Comparison(
        split,
        record.metric,
        recomputed[record.metric],
        kind.scores(np.nan_to_num(predictions), columns, definition)[record.metric],
        float(changes.moved.max()),
        changes.noise,
        _flips(kind, record, split, examples, reference, predictions, changes),
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


def _flips(
    kind: Kind,
    record: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    reference: np.ndarray,
    predictions: np.ndarray,
    changes: Changes,
) -> tuple[Flip, ...]:
    flipped = np.flatnonzero(changes.changed)
    if not len(flipped):
        return ()
    noise = changes.noise
    within = (changes.margin <= 2 * noise) & (changes.moved <= noise)
    columns, definition = examples.columns, record.definition
    before = kind.answers(reference, columns, definition)
    after = kind.answers(np.nan_to_num(predictions), columns, definition)
    inputs = [values for name, values in columns.items() if name != kind.label.name]
    return tuple(
        Flip(
            split.name,
            int(row) + 1,
            _cut(" | ".join(_plain(values[row]) for values in inputs)),
            _cut(_plain(columns[kind.label.name][row])),
            _cut(before[row]["label"]),
            _cut(after[row]["label"]),
            bool(within[row]),
        )
        for row in flipped
    )


def _cut(text: str) -> str:
    return text[:SHOWN_TEXT]


def _plain(value: Json) -> str:
    """Return a value of an example as text for people."""
    if isinstance(value, dict):
        value = value["text"]
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
