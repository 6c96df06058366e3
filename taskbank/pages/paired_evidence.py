"""What two versions, or two verifications of one, answer to the same examples, without torch.

Nothing is predicted: only the stored examples and predictions are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.errors import InputError
from taskbank.kinds.metrics import Measurement, metric_drop
from taskbank.pages.buckets import BUCKETS, Bucket, buckets_of, labels_of, matching
from taskbank.pages.common_examples import (
    Common,
    Side,
    chosen_splits,
    common_examples,
    common_splits,
    take,
    with_known_labels,
)
from taskbank.pages.shown_text import SHOWN_TEXT, shown_inputs, shown_label
from taskbank.promotion.paired import Paired, paired
from taskbank.specs import FOLDS

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

SHOWN_ROWS = 50  # examples of a page


@dataclass(frozen=True)
class AskedPairs:
    """Which examples are shown.

    Attributes:
        split: the split of the second version, of those that both have; None means its scored one.
        bucket: `regressed` for answers that became less correct, `fixed` for those that became more
            correct, `wrong` for those that stayed wrong, `unchanged` for all others; None means the
            first that has examples.
        label: only examples of this label.
        text: only examples with this text in their input, in any letter case.
        start: the number of the first one, from 0.
    """

    split: str | None = None
    bucket: str | None = None
    label: str | None = None
    text: str = ""
    start: int = 0


@dataclass(frozen=True)
class MetricRow:
    """A metric of both on the compared examples; the errors are standard errors over examples.

    Attributes:
        name: the metric's name.
        first: its value for the first.
        first_error: that value's standard error.
        second: its value for the second.
        second_error: that value's standard error.
        gain: how much better the second is; negative if it is worse.
    """

    name: str
    first: float
    first_error: float
    second: float
    second_error: float
    gain: float


@dataclass(frozen=True)
class PairRow:
    """One example with both answers.

    Attributes:
        number: its row in the second's split, from 1.
        inputs: its texts by name, shortened.
        characters: number of characters of the texts if they are shortened, else None.
        label: its label.
        answers: both answers.
        scores: the confidence in each.
        correct: the correctness of each, from 0 to 1; for numbers, the negated error.
    """

    number: int
    inputs: tuple[tuple[str, str], ...]
    characters: int | None
    label: str
    answers: tuple[str, str]
    scores: tuple[float, float]
    correct: tuple[float, float]


@dataclass(frozen=True)
class PairedEvidence:
    """What both answer to the same examples.

    Attributes:
        splits: the names of the split in the first and in the second.
        same_split: whether both have these examples; else only those are compared that both have.
        sizes: the number of examples of each split.
        choices: the splits of the second that can be compared.
        left_out: number of examples left out because the first lacks their labels.
        relabelled: number of examples whose labels differ between the splits.
        own: whether a training saw the examples.
        labels_differ: whether the two have different labels.
        label_type: type of the kind's label.
        metric: the second's metric.
        metrics: every common metric.
        paired: the test.
        counts: number of examples of each bucket, under the filters.
        asked: which examples are shown.
        bucket: the bucket that is shown.
        labels: the labels to choose from; empty for a kind without classes.
        examples: the examples of the page.
    """

    splits: tuple[str, str]
    same_split: bool
    sizes: tuple[int, int]
    choices: tuple[str, ...]
    left_out: int
    relabelled: int
    own: bool
    labels_differ: bool
    label_type: str
    metric: str
    metrics: tuple[MetricRow, ...]
    paired: Paired
    counts: dict[Bucket, int]
    asked: AskedPairs
    bucket: Bucket
    labels: tuple[str, ...]
    examples: tuple[PairRow, ...]

    @property
    def numeric(self) -> bool:
        """Whether answers are numbers, so that they have errors and are not right or wrong."""
        return self.label_type == "number"

    @property
    def next(self) -> int | None:
        """Where the next page of examples begins; None if this is the last."""
        end = self.asked.start + len(self.examples)
        return end if self.examples and end < self.counts[self.bucket] else None

    @property
    def previous(self) -> int | None:
        """Where the page before begins; None if this is the first."""
        return max(0, self.asked.start - SHOWN_ROWS) if self.asked.start else None


def read_pairs(bank: Bank, first: Side, second: Side, asked: AskedPairs) -> PairedEvidence:
    """Return what two sides answer to the same examples.

    Args:
        bank: an open bank.
        first: the baseline.
        second: what is compared with it.
        asked: which split and examples to show.

    Raises:
        InputError: if the two have different kinds or no example in common, or there is no such
            bucket.
        NotFoundError: if a verification does not exist or did not predict the version, or if there
            is no such split.
        DamagedError: if the stored bytes are missing or differ from what was recorded.
    """
    one, other = first.record, second.record
    if one.kind != other.kind:
        raise InputError(
            f"{one.ref} is of kind {one.kind!r}, {other.ref} is of kind {other.kind!r}: only "
            "answers of one kind can be compared"
        )
    if asked.bucket not in (None, *BUCKETS):
        raise InputError(
            f"there are no examples that are {str(asked.bucket)[:40]!r}: use one of "
            f"{', '.join(BUCKETS)}"
        )
    kind: Kind = plugins.load("kinds", other.kind)
    common = common_splits(one, other)
    splits = chosen_splits(one, other, common, asked.split)
    found = common_examples(bank, kind, first, second, splits)
    total = len(found.examples)
    if one.definition != other.definition:  # whose own examples they are
        found = with_known_labels(kind, one, found)
    columns = found.examples.columns
    before = kind.correctness(found.before, columns, one.definition)
    after = kind.correctness(found.after, columns, other.definition)
    whole = splits[0].digest == splits[1].digest and len(found.examples) == splits[1].rows
    buckets = buckets_of(kind, found, one, other, before, after)
    keep = matching(kind, columns, asked.label, asked.text)
    counts: dict[Bucket, int] = {
        name: int((keep & (buckets == number)).sum()) for number, name in enumerate(BUCKETS)
    }
    bucket: Bucket = next((name for name in BUCKETS if name == asked.bucket), BUCKETS[0])
    if asked.bucket is None:
        bucket = next((name for name in BUCKETS if counts[name]), BUCKETS[0])
    rows = np.flatnonzero(keep & (buckets == BUCKETS.index(bucket)))
    if bucket != "unchanged":  # the largest changes first, and the surest answers among them
        margins = kind.margins(found.after, columns, other.definition)
        rows = rows[np.lexsort((-margins[rows], -np.abs(after - before)[rows]))]
    return PairedEvidence(
        (splits[0].name, splits[1].name),
        splits[0].digest == splits[1].digest,
        (splits[0].rows, splits[1].rows),
        tuple(dict.fromkeys(split.name for _, split in common)),
        total - len(found.examples),
        int(found.relabelled.sum()),
        any(
            record.split == FOLDS and split.name == record.verified_split
            for record, split in ((one, splits[0]), (other, splits[1]))
        ),
        set(one.labels) != set(other.labels),
        kind.label.type,
        other.metric,
        _metrics(kind, found, (first, second), splits if whole else None),
        paired(before, after),
        counts,
        asked,
        bucket,
        labels_of(kind, columns),
        _shown(kind, found, (one, other), rows[asked.start : asked.start + SHOWN_ROWS]),
    )


def _metrics(
    kind: Kind,
    found: Common,
    sides: tuple[Side, Side],
    splits: tuple[SplitRecord, SplitRecord] | None,
) -> tuple[MetricRow, ...]:
    """Return the metrics of both: as recorded where they are of whole splits, else computed."""
    before, after = (
        _measured(kind, found.examples, predictions, side, splits[number] if splits else None)
        for number, (predictions, side) in enumerate(
            zip((found.before, found.after), sides, strict=True)
        )
    )
    return tuple(
        MetricRow(
            name,
            before[name].value,
            before[name].standard_error,
            measured.value,
            measured.standard_error,
            -metric_drop(name, before[name].value, measured.value),
        )
        for name, measured in after.items()
        if name in before
    )


def _measured(
    kind: Kind,
    examples: Examples,
    predictions: np.ndarray,
    side: Side,
    split: SplitRecord | None,
) -> dict[str, Measurement]:
    record = side.record
    # What was recorded belongs to the original predictions, not to those accepted later.
    if split is not None and side.verification is None and split.accepted is None:
        recorded = {
            one.name: Measurement(one.value, one.standard_error, one.count)
            for one in record.metrics
            if one.split == split.name
        }
        if recorded:
            return recorded
    return kind.metrics(predictions, examples.columns, record.definition)


def _shown(
    kind: Kind,
    found: Common,
    records: tuple[AdapterRecord, AdapterRecord],
    rows: np.ndarray,
) -> tuple[PairRow, ...]:
    """Return the examples at some positions with both answers."""
    if not len(rows):
        return ()
    examples = found.examples.select(rows.tolist(), found.examples.origin)
    columns = examples.columns
    answers, correct = [], []
    for record, predictions in zip(records, (found.before, found.after), strict=True):
        taken = take(kind, found.examples.columns, predictions, rows)
        answers.append(kind.answers(taken, columns, record.definition))
        correct.append(kind.correctness(taken, columns, record.definition))
    made = []
    for row, place in enumerate(rows):
        inputs, characters = shown_inputs(columns, kind.label.name, row)
        one, other = answers[0][row], answers[1][row]
        made.append(
            PairRow(
                int(found.rows[place]) + 1,
                inputs,
                characters,
                shown_label(kind, columns, records[1].definition, row),
                (str(one["label"])[:SHOWN_TEXT], str(other["label"])[:SHOWN_TEXT]),
                (float(one["score"]), float(other["score"])),
                (float(correct[0][row]), float(correct[1][row])),
            )
        )
    return tuple(made)
