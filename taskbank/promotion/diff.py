"""Two versions of a task on the same examples: what differs, and whether it is chance.

Where both were scored on the same split, their stored predictions are compared and nothing is
computed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.digests import Json
from taskbank.errors import DataError, InputError
from taskbank.kinds.metrics import metric_drop
from taskbank.verify.flips import flips_between
from taskbank.verify.report import Flip
from taskbank.verify.significance import drop_by_chance, is_beyond, is_significant
from taskbank.verify.statistics import mcnemar, paired_permutation

if TYPE_CHECKING:
    from taskbank.backbone.backbone import Backbone
    from taskbank.kinds.kind import Kind


@dataclass(frozen=True)
class Diff:
    """How two adapters differ on the same examples.

    Attributes:
        first: the one that is compared with, such as `sst2@1`.
        second: the other one.
        split: whose examples they are: the second's, where it has its score.
        metric: the second's own.
        examples: how many were compared.
        left_out: how many were not, as the first does not know what is right there.
        metrics: every metric that both have, of the first and of the second.
        flips: every example that they answer otherwise.
        answers: how often which answer of the first is which of the second, where they differ.
        p_value: how likely the second's metric being so much worse is by chance, one-sided, as
            in a verification. Where the two have other labels or settings, it is about how right
            their answers are.
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
        """By how much the second's metric is worse; negative if it is better."""
        return metric_drop(self.metric, *self.metrics[self.metric])

    @property
    def negative_flips(self) -> int:
        """How many answers are right, or nearer to it, in the first only."""
        return sum(flip.effect == "worse" for flip in self.flips)

    @property
    def positive_flips(self) -> int:
        """How many answers are right, or nearer to it, in the second only."""
        return sum(flip.effect == "better" for flip in self.flips)

    def worse(self, tolerance: float) -> bool:
        """Return whether the second is worse, by more than a tolerance or than chance explains."""
        return is_beyond(self.drop, tolerance) or is_significant(self.drop, self.p_value)

    def to_json(self) -> dict[str, Json]:
        """Return what `taskbank diff --json` prints."""
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
    backbone: str | Backbone | None = None,
    device: str | None = None,
) -> Diff:
    """Compare two adapters on the split that the second has its score on.

    Args:
        bank: an open bank.
        first: the one to compare with: `NAME@VERSION` or `NAME@ALIAS`.
        second: the other one.
        backbone: where to load the backbone from, or itself, where the first has to predict.
        device: to compute on; none means the best there is.

    Raises:
        NotFoundError: if there is no such adapter.
        InputError: if they are of different kinds, or have no metric or example in common.
        DamagedError: if what is stored of them is not what was recorded.
    """
    one, other = bank[first], bank[second]
    if one.kind != other.kind:
        raise InputError(
            f"{one.ref} is of kind {one.kind!r}, {other.ref} of {other.kind!r}: what they predict "
            "cannot be compared"
        )
    split = next(s for s in other.splits if s.name == other.split)
    examples = bank.examples(other, split.name)
    before = _predictions(bank, one, split, examples, backbone, device)
    after = bank.reference(other, split.name)
    kind: Kind = plugins.load("kinds", other.kind)
    rows = _judged(kind, one, examples)
    if not rows:
        raise InputError(
            f"{one.ref} knows none of the labels of split {split.name!r} of {other.ref}: there is "
            "nothing to compare"
        )
    own = np.isin(kind.examples_of(examples.columns), rows)
    some = examples.select(rows, examples.origin)
    return _compared(one, other, split, some, before[own], after[own], len(examples) - len(rows))


def _predictions(
    bank: Bank,
    record: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    backbone: str | Backbone | None,
    device: str | None,
) -> np.ndarray:
    for own in record.splits:
        if own.digest == split.digest:
            stored: np.ndarray = bank.reference(record, own.name)
            return stored
    from taskbank.model.load import encode_for, load_model, load_recorded_backbone
    from taskbank.model.predict import predict_examples

    kind: Kind = plugins.load("kinds", record.kind)
    if isinstance(backbone, str):
        backbone = load_recorded_backbone(bank.backbone(record.backbone), backbone, device)
    elif backbone is None or backbone.identity.fingerprint != record.backbone:
        backbone = load_recorded_backbone(bank.backbone(record.backbone), None, device)
    encoded = encode_for(record, backbone, examples.columns)
    return predict_examples(load_model(bank, record, backbone), kind, encoded)


def _judged(kind: Kind, record: AdapterRecord, examples: Examples) -> list[int]:
    """Return the examples whose right answer an adapter can give."""

    def knows(row: int) -> bool:
        columns = {name: (values[row],) for name, values in examples.columns.items()}
        try:
            kind.check(columns, record.definition, "split")
        except DataError:
            return False
        return True

    return [row for row in range(len(examples)) if knows(row)]


def _compared(
    one: AdapterRecord,
    other: AdapterRecord,
    split: SplitRecord,
    examples: Examples,
    before: np.ndarray,
    after: np.ndarray,
    left_out: int,
) -> Diff:
    kind: Kind = plugins.load("kinds", other.kind)
    columns = examples.columns
    scores = [
        kind.scores(predictions, columns, record.definition)
        for record, predictions in ((one, before), (other, after))
    ]
    if other.metric not in scores[0]:
        raise InputError(f"{one.ref} has no {other.metric}, which {other.ref} is judged by")
    flips = flips_between(
        kind, examples, split.name, (before, one.definition), (after, other.definition)
    )
    if one.definition == other.definition:
        p_value = drop_by_chance(kind, other, columns, before, after)
    else:
        p_value = _less_right_by_chance(
            kind.correctness(before, columns, one.definition),
            kind.correctness(after, columns, other.definition),
        )
    return Diff(
        one.ref,
        other.ref,
        split.name,
        other.metric,
        len(examples),
        left_out,
        {name: (value, scores[1][name]) for name, value in scores[0].items() if name in scores[1]},
        flips,
        dict(Counter((flip.recorded, flip.observed) for flip in flips).most_common()),
        p_value,
    )


def _less_right_by_chance(before: np.ndarray, after: np.ndarray) -> float:
    """Return how likely it is by chance that answers are so much less right."""
    worse, improved = int((after < before).sum()), int((after > before).sum())
    if set(before) | set(after) <= {0.0, 1.0}:
        return mcnemar(worse, improved)
    changes = (after - before)[after != before]
    return paired_permutation(len(changes), lambda now: float(changes[now].sum()))
