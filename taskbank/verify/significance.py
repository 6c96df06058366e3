"""Whether the drop of a metric matters, and whether chance explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.records import AdapterRecord
from taskbank.kinds.metrics import orient
from taskbank.verify.statistics import mcnemar, paired_permutation

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

SAME_METRIC = 1e-9  # a metric is a ratio of counts: recomputed, it differs by rounding at most


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
        return orient(record.metric, kind.scores(mixed, columns, definition)[record.metric])

    was = score(np.zeros_like(moved))
    if score(np.ones_like(moved)) >= was:
        return 1.0
    before = kind.correctness(reference, columns, definition)
    after = kind.correctness(predictions, columns, definition)
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


SIGNIFICANT = 0.05  # chance of one false alarm in a whole verification
# A metric that sees every output, such as a correlation, drops by next to nothing as soon as all of
# them move a little, and that is no chance. Less than a tenth of a point matters to nobody.
NEGLIGIBLE = 0.001


def is_beyond(drop: float, tolerance: float) -> bool:
    """Return whether a drop is more than a tolerance, and not only by its last binary digit."""
    return drop > tolerance + SAME_METRIC


def is_significant(drop: float, p_value: float) -> bool:
    """Return whether a drop matters to anybody, and chance does not explain it."""
    return drop > NEGLIGIBLE and p_value < SIGNIFICANT
