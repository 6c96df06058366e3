"""Compares two predictions of one split, example by example. Knows nothing of torch.

Two runs of one model differ by rounding (another batch shape, thread count or processor),
so a label that flips between two classes whose reference logits are closer than that noise
is told apart from one that really moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.catalog.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.verify.report import Flip

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

# How far rounding alone may move a logit, as a share of the split's largest logit, at least
# 1. float32 resolves 1e-7; summing in another order through all layers was measured to move
# logits by up to 1e-6 of it on one machine, and this leaves room for another machine.
NOISE = 1e-4
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
        shift: the largest change of any logit; NaN if one is no number any more.
        noise: how far rounding alone may move a logit.
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
        drop = self.recorded - self.observed
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
    logits: np.ndarray,
) -> Comparison:
    """Compare what an adapter predicts now with what it predicted when it was added.

    Args:
        record: the adapter.
        split: one of its stored splits.
        examples: the split's examples.
        reference: the stored logits, of shape [examples, outputs].
        logits: the logits predicted now, of the same shape.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    targets = kind.targets(examples.columns["label"], record.labels, split.origin)
    recomputed = kind.metrics(reference, targets)
    recorded = {m.name: m.value for m in record.metrics if m.split == split.name}
    disagreements = tuple(
        f"{name} of the stored predictions on split {split.name!r} is "
        f"{recomputed[name].value:.6f}, recorded was {value:.6f}: predictions and examples do "
        "not belong together; restore the bank from a copy"
        for name, value in recorded.items()
        if name in recomputed and abs(recomputed[name].value - value) > SAME_METRIC
    )
    shift = float(np.abs(logits - reference).max())
    noise = NOISE * max(1.0, float(np.abs(reference).max()))
    return Comparison(
        split,
        record.metric,
        recomputed[record.metric].value,
        kind.metrics(logits, targets)[record.metric].value,
        shift,
        noise,
        _flips(record, split, examples, reference, logits, noise),
        disagreements,
    )


def _flips(
    record: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    reference: np.ndarray,
    logits: np.ndarray,
    noise: float,
) -> tuple[Flip, ...]:
    before, after = reference.argmax(axis=1), logits.argmax(axis=1)
    broken = ~np.isfinite(logits).all(axis=1)
    flipped = np.flatnonzero((before != after) | broken)
    margin = reference[flipped, before[flipped]] - reference[flipped, after[flipped]]
    moved = np.abs(logits[flipped] - reference[flipped]).max(axis=1)
    within = (margin <= 2 * noise) & (moved <= noise) & ~broken[flipped]
    kind: Kind = plugins.load("kinds", record.kind)
    texts = [examples.columns[column] for column in kind.columns]
    return tuple(
        Flip(
            split.name,
            int(row) + 1,
            " | ".join(column[row] for column in texts)[:SHOWN_TEXT],
            examples.columns["label"][row],
            record.labels[before[row]],
            record.labels[after[row]],
            bool(small),
        )
        for row, small in zip(flipped, within, strict=True)
    )
