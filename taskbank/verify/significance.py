"""Decides whether the drop of a metric is statistically significant or exceeds the tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.records import AdapterRecord
from taskbank.kinds.metrics import orient
from taskbank.verify.statistics import mcnemar, paired_permutation

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind

METRIC_ROUNDING = 1e-9  # a metric is a ratio of counts: recomputed, it differs by rounding at most


def drop_p_value(
    kind: Kind,
    record: AdapterRecord,
    columns: Columns,
    reference: np.ndarray,
    predictions: np.ndarray,
) -> float:
    """Return the one-sided p-value of the drop of an adapter's metric.

    Args:
        kind: the task's kind.
        record: the adapter; its metric and definition are used.
        columns: the columns of the examples.
        reference: the reference predictions.
        predictions: the new predictions, all finite.

    Returns:
        the p-value, which is 1 if there is no drop.
    """
    changes = kind.changes(reference, predictions, columns, record.definition)
    flipped, moved = changes.changed, changes.moved > 0
    if not moved.any():
        return 1.0
    definition, owner = record.definition, kind.examples_of(columns)

    def score(now: np.ndarray) -> float:
        """Return the metric, negated if lower is better, with new predictions for `now` only."""
        mixed = np.where(now[owner, None], predictions, reference)
        return orient(record.metric, kind.scores(mixed, columns, definition)[record.metric])

    reference_score = score(np.zeros_like(moved))
    if score(np.ones_like(moved)) >= reference_score:
        return 1.0
    before = kind.correctness(reference, columns, definition)
    after = kind.correctness(predictions, columns, definition)
    if set(before) | set(after) <= {0.0, 1.0} and before.mean() == reference_score:
        worse = int(((before > after) & flipped).sum())
        return mcnemar(worse, int(((before < after) & flipped).sum()))
    # Most metrics depend on the answers only. Then only flips need to be permuted, and if they are
    # few, all permutations can be tried.
    decisive = np.flatnonzero(flipped if score(flipped) == score(moved) else moved)

    def score_decisive(chosen: np.ndarray) -> float:
        now = np.zeros_like(moved)
        now[decisive[chosen]] = True
        return score(now)

    return paired_permutation(
        len(decisive), lambda rows: np.array([score_decisive(chosen) for chosen in rows])
    )


SIGNIFICANCE_LEVEL = 0.05  # probability of a false alarm in a whole verification
# A metric that depends on every output, such as a correlation, drops slightly as soon as all
# outputs move slightly, and such a drop is significant. Drops below a tenth of a point are ignored.
NEGLIGIBLE_DROP = 0.001


def exceeds_tolerance(drop: float, tolerance: float) -> bool:
    """Return whether a drop exceeds a tolerance by more than rounding."""
    return drop > tolerance + METRIC_ROUNDING


def is_significant(drop: float, p_value: float) -> bool:
    """Return whether a drop is statistically significant and not negligible."""
    return drop > NEGLIGIBLE_DROP and p_value < SIGNIFICANCE_LEVEL
