"""Compares two sets of predictions of one split, example by example, without torch.

Two runs of one model differ by rounding when batch shape, thread count or processor differ. The
comparison therefore separates flips that this noise explains from flips beyond it. The metric is
compared on the raw predictions, whatever the noise.
"""

from __future__ import annotations

from collections import Counter
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
from taskbank.verify.rounding import describe_instability, is_unstable, noise_limit
from taskbank.verify.significance import METRIC_ROUNDING, drop_p_value

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

SHOWN_FLIPS = 20  # flips per split in a report; of the others, only their number is kept


@dataclass(frozen=True)
class Comparison:
    """The comparison of one split's reference predictions with new predictions.

    Attributes:
        split: the stored split.
        metric: the task's own metric.
        metrics: every metric, computed from the reference predictions and from the new ones.
        shift: the largest change of any output; infinite if an output became NaN or infinite.
        noise: how far rounding alone may move an output.
        instability: a description of outputs that depend on their batch by more than rounding
            explains; None if they do not.
        moved: number of examples with an output that moved by more than the noise.
        broken: number of examples with an output that became NaN or infinite.
        changed: number of examples whose answer changed.
        effects: number of answers that changed beyond noise, by their effect.
        flips: the first examples whose answer changed.
        example: the first example whose answer changed beyond noise; None if none did.
        p_value: the one-sided p-value of the metric's drop, for this split alone.
        disagreements: recorded metrics that do not follow from the reference predictions, which
            means that the evidence itself is damaged.
    """

    split: SplitRecord
    metric: str
    metrics: Mapping[str, tuple[float, float]]
    shift: float
    noise: float
    instability: str | None
    moved: int
    broken: int
    changed: int
    effects: Counter[Effect]
    flips: tuple[Flip, ...]
    example: Flip | None
    p_value: float
    disagreements: tuple[str, ...]

    @property
    def recorded(self) -> float:
        """The value of the task's metric for the reference predictions."""
        return self.metrics[self.metric][0]

    @property
    def observed(self) -> float:
        """The value of the task's metric for the new predictions."""
        return self.metrics[self.metric][1]

    @property
    def drop(self) -> float:
        """The drop of the task's metric; negative if the metric improved."""
        return metric_drop(self.metric, self.recorded, self.observed)

    @property
    def differs(self) -> bool:
        """Whether an answer changed, or an output moved by more than the noise."""
        return self.changed > 0 or self.moved > 0

    @property
    def real_flips(self) -> int:
        """Number of answers that changed beyond noise."""
        return self.effects.total()

    def describe(self) -> str:
        """Return a description of the changes, with an example of a flip."""
        text = (
            f"{self.metric} on split {self.split.name!r} is {self.observed:.4f}, the recorded "
            f"value is {self.recorded:.4f}; {self.real_flips:,} of {self.split.rows:,} predictions "
            f"flipped beyond noise ({self.effects['worse']:,} for the worse, "
            f"{self.effects['better']:,} for the better) and "
            f"{self.changed - self.real_flips:,} within it; outputs moved by up to "
            f"{self.shift:.3g} (noise is {self.noise:.1g})"
        )
        first = self.example
        if first is not None:
            text += (
                f"; for example, in row {first.row}, {first.text!r}, the answer changed from "
                f"{first.recorded!r} to {first.observed!r}"
            )
        return text


def compare(
    record: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    reference: np.ndarray,
    predictions: np.ndarray,
    noise: float,
) -> Comparison:
    """Compare an adapter's new predictions with its reference predictions.

    Args:
        record: the adapter.
        split: one of its stored splits.
        examples: the split's examples.
        reference: the reference predictions, of the shape that the task's kind defines.
        predictions: the new predictions, of the same shape.
        noise: how far rounding alone may move an output, as it was measured.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    columns, definition = examples.columns, record.definition
    readable = np.nan_to_num(predictions)
    before = kind.scores(reference, columns, definition)
    unchanged = np.array_equal(reference, readable)
    after = before if unchanged else kind.scores(readable, columns, definition)
    # The recorded metrics belong to the original predictions, not to predictions accepted later.
    recorded_metrics = [] if split.accepted else record.metrics
    recorded = {m.name: m.value for m in recorded_metrics if m.split == split.name}
    disagreements = tuple(
        f"{message}: the stored predictions do not match the examples; restore the bank from a copy"
        for message in metric_disagreements(split.name, recorded, before)
    )
    changes = kind.changes(reference, predictions, columns, definition)
    explained = min(noise, noise_limit(changes.scale))
    within_noise = changes.within(explained)
    moved = changes.moved > explained
    # A correlation moves with every bit of an output; such a drop is not worth a slow test.
    differs = moved.any() or changes.changed.any()
    flips = flips_between(
        kind,
        examples,
        split.name,
        (reference, definition),
        (readable, definition),
        np.flatnonzero(changes.changed),
        within_noise,
    )
    beyond_noise = [flip for flip in flips if not flip.within_noise]
    return Comparison(
        split,
        record.metric,
        {name: (value, after[name]) for name, value in before.items()},
        float(changes.moved.max()),
        explained,
        describe_instability(noise, changes.scale) if is_unstable(noise, changes.scale) else None,
        int(moved.sum()),
        int((~np.isfinite(changes.moved)).sum()),
        len(flips),
        Counter(flip.effect for flip in beyond_noise),
        flips[:SHOWN_FLIPS],
        next(iter(beyond_noise), None),
        drop_p_value(kind, record, columns, reference, readable) if differs else 1.0,
        disagreements,
    )


def metric_disagreements(
    split: str, recorded: Mapping[str, float], recomputed: Mapping[str, float]
) -> Iterator[str]:
    """Yield a description of every recorded metric that the stored predictions contradict.

    Args:
        split: the split's name.
        recorded: the recorded metrics, by name.
        recomputed: the metrics recomputed from the stored predictions, by name.
    """
    for name, value in recorded.items():
        if name in recomputed and abs(recomputed[name] - value) > METRIC_ROUNDING:
            yield (
                f"{name} of the stored predictions on split {split!r} is "
                f"{recomputed[name]:.6f}, the recorded value is {value:.6f}"
            )
