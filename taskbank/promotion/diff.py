"""Compares two versions of a task on the same examples, and tests whether chance explains a drop.

If both were scored on the same split, their stored predictions are compared and nothing is
recomputed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.examples import Examples
from taskbank.digests import Json
from taskbank.errors import InputError
from taskbank.kinds.metrics import metric_drop
from taskbank.promotion.paired import comparable_rows, correctness_p_value
from taskbank.specs import FOLDS
from taskbank.verify.flips import flips_between
from taskbank.verify.report import Flip
from taskbank.verify.significance import drop_p_value, exceeds_tolerance, is_significant

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.kinds.kind import Kind


@dataclass(frozen=True)
class Diff:
    """The differences between two adapters on the same examples.

    Attributes:
        first: the baseline adapter, such as `sst2@1`.
        second: the adapter that is compared with the baseline.
        split: the second adapter's split whose examples are compared.
        metric: the second adapter's metric.
        examples: number of compared examples.
        left_out: number of examples left out because the first adapter lacks their labels.
        metrics: every common metric, with the values of the first and of the second adapter.
        flips: every example with different answers.
        answers: number of examples for each pair of different answers (first, second).
        p_value: the one-sided p-value of the drop of the metric, as in a verification. If the two
            adapters have different labels or settings, it compares the correctness of their
            answers instead.
    """

    first: str
    second: str
    split: str
    metric: str
    examples: int
    left_out: int
    metrics: Mapping[str, tuple[float, float]]
    flips: tuple[Flip, ...]
    answers: Mapping[tuple[str, str], int]
    p_value: float

    @property
    def drop(self) -> float:
        """The drop of the metric from the first to the second; negative if it improved."""
        return metric_drop(self.metric, *self.metrics[self.metric])

    @property
    def negative_flips(self) -> int:
        """Number of answers that are less correct in the second."""
        return sum(flip.effect == "worse" for flip in self.flips)

    @property
    def positive_flips(self) -> int:
        """Number of answers that are more correct in the second."""
        return sum(flip.effect == "better" for flip in self.flips)

    def worse(self, tolerance: float) -> bool:
        """Return whether the second is worse by more than a tolerance, or significantly worse."""
        return exceeds_tolerance(self.drop, tolerance) or is_significant(self.drop, self.p_value)

    def to_json(self) -> dict[str, Json]:
        """Return the JSON form that `taskbank diff --json` prints."""
        return asdict(self) | {
            "answers": [
                {"first": first, "second": second, "examples": count}
                for (first, second), count in self.answers.items()
            ],
            "drop": self.drop,
            "negative_flips": self.negative_flips,
            "positive_flips": self.positive_flips,
        }


def diff(
    bank: Bank,
    first: str,
    second: str,
    *,
    split: str | None = None,
    backbone: str | Backbone | None = None,
    device: str | None = None,
) -> Diff:
    """Compare two adapters on a split of the second.

    Args:
        bank: an open bank.
        first: the baseline adapter: `NAME@VERSION` or `NAME@ALIAS`.
        second: the adapter to compare with the baseline.
        split: the split; None means the scored one.
        backbone: the backbone, or where to load it from, if the first adapter has to predict;
            None means its recorded source.
        device: the device to compute on; None means the best available device.

    Raises:
        NotFoundError: if an adapter does not exist.
        InputError: if the adapters are of different kinds, or have no metric or example in common.
        DamagedError: if their stored data differs from what was recorded.
    """
    baseline, candidate = bank[first], bank[second]
    if baseline.kind != candidate.kind:
        raise InputError(
            f"{baseline.ref} is of kind {baseline.kind!r}, {candidate.ref} is of kind "
            f"{candidate.kind!r}: compare adapters of the same kind"
        )
    if split is None and candidate.split == FOLDS:
        raise InputError(
            f"{candidate.ref} was scored by a cross-validation and then trained on all of its "
            "examples, which are no fair comparison: score both adapters on new data with "
            "taskbank score"
        )
    name = split or candidate.split
    examples, after = bank.examples(candidate, name), bank.reference(candidate, name)
    before = _predictions(bank, baseline, examples, backbone, device)
    kind: Kind = plugins.load("kinds", candidate.kind)
    rows = comparable_rows(kind, baseline, examples)
    if not rows:
        raise InputError(
            f"{baseline.ref} has none of the labels in split {name!r} of {candidate.ref}: "
            "there is nothing to compare"
        )
    mask = np.isin(kind.examples_of(examples.columns), rows)
    compared = examples.select(rows, examples.origin)
    return _build_diff(
        baseline, candidate, name, compared, before[mask], after[mask], len(examples) - len(rows)
    )


def _predictions(
    bank: Bank,
    record: AdapterRecord,
    examples: Examples,
    backbone: str | Backbone | None,
    device: str | None,
) -> np.ndarray:
    for own_split in record.splits:
        if own_split.digest == examples.digest:
            stored: np.ndarray = bank.reference(record, own_split.name)
            return stored
    from taskbank.model.load import encode_for, load_model, load_recorded_backbone
    from taskbank.model.predict import predict_examples

    kind: Kind = plugins.load("kinds", record.kind)
    if isinstance(backbone, str):
        backbone = load_recorded_backbone(bank, bank.backbone(record.backbone), backbone, device)
    elif backbone is None or backbone.identity.fingerprint != record.backbone:
        backbone = load_recorded_backbone(bank, bank.backbone(record.backbone), None, device)
    encoded = encode_for(record, backbone, examples.columns)
    return predict_examples(load_model(bank, record, backbone), kind, encoded)


def _build_diff(
    baseline: AdapterRecord,
    candidate: AdapterRecord,
    split: str,
    examples: Examples,
    before: np.ndarray,
    after: np.ndarray,
    left_out: int,
) -> Diff:
    kind: Kind = plugins.load("kinds", candidate.kind)
    columns = examples.columns
    scores = [
        kind.scores(predictions, columns, record.definition)
        for record, predictions in ((baseline, before), (candidate, after))
    ]
    if candidate.metric not in scores[0]:
        raise InputError(
            f"{baseline.ref} has no metric {candidate.metric}, which is the metric of "
            f"{candidate.ref}: there is nothing to compare"
        )
    flips = flips_between(
        kind, examples, split, (before, baseline.definition), (after, candidate.definition)
    )
    if baseline.definition == candidate.definition:
        p_value = drop_p_value(kind, candidate, columns, before, after)
    else:
        p_value = correctness_p_value(
            kind.correctness(before, columns, baseline.definition),
            kind.correctness(after, columns, candidate.definition),
        )
    return Diff(
        baseline.ref,
        candidate.ref,
        split,
        candidate.metric,
        len(examples),
        left_out,
        {name: (value, scores[1][name]) for name, value in scores[0].items() if name in scores[1]},
        flips,
        dict(Counter((flip.recorded, flip.observed) for flip in flips).most_common()),
        p_value,
    )
