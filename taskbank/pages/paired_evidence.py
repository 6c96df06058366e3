"""What two versions, or two verifications of one, answer to the same examples, without torch.

Nothing is predicted: only the stored examples and predictions are compared. Where two versions have
no split in common, the examples that both of their splits have are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.digests import Json, canonical_json
from taskbank.errors import InputError, NotFoundError
from taskbank.kinds.entities import entities_of, seqeval_names
from taskbank.kinds.metrics import Measurement, metric_drop
from taskbank.pages.evidence import SHOWN_TEXT, as_text, shown_inputs
from taskbank.promotion.paired import Paired, comparable_rows, paired
from taskbank.specs import FOLDS

if TYPE_CHECKING:
    from taskbank.kinds.definition import Definition
    from taskbank.kinds.kind import Columns, Kind

SHOWN_ROWS = 50  # examples of a page
SHOWN_LABELS = 500  # labels to choose from
Bucket = Literal["regressed", "fixed", "wrong", "unchanged"]
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        record: the version.
        verification: the verification whose predictions are compared; None means the reference.
    """

    record: AdapterRecord
    verification: int | None = None


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


@dataclass(frozen=True)
class _Answered:
    """Examples with the predictions of both, the row of each in the second's split, and whether
    its label differs in the first's."""

    examples: Examples
    rows: np.ndarray
    relabelled: np.ndarray
    before: np.ndarray
    after: np.ndarray


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
    common = _common_splits(one, other)
    splits = _chosen(one, other, common, asked.split)
    found = _both_answered(bank, kind, first, second, splits)
    total = len(found.examples)
    if one.definition != other.definition:  # whose own examples they are
        found = _with_known_labels(kind, one, found)
    columns = found.examples.columns
    before = kind.correctness(found.before, columns, one.definition)
    after = kind.correctness(found.after, columns, other.definition)
    whole = splits[0].digest == splits[1].digest and len(found.examples) == splits[1].rows
    buckets = _buckets(kind, found, one, other, before, after)
    keep = _kept(kind, columns, asked)
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
        _labels(kind, columns),
        _shown(kind, found, (one, other), rows[asked.start : asked.start + SHOWN_ROWS]),
    )


def _common_splits(
    one: AdapterRecord, other: AdapterRecord
) -> list[tuple[SplitRecord, SplitRecord]]:
    """Return the splits that both have, the scored ones first."""
    pairs = [(a, b) for b in other.splits for a in one.splits if a.digest == b.digest]
    scored = (other.verified_split, one.verified_split)
    return sorted(pairs, key=lambda pair: (pair[1].name != scored[0], pair[0].name != scored[1]))


def _chosen(
    one: AdapterRecord,
    other: AdapterRecord,
    common: Sequence[tuple[SplitRecord, SplitRecord]],
    wanted: str | None,
) -> tuple[SplitRecord, SplitRecord]:
    if wanted is not None:
        for pair in common:
            if pair[1].name == wanted:
                return pair
        raise NotFoundError(
            f"{one.ref} and {other.ref} have no split {wanted[:100]!r} in common: they have "
            f"{', '.join(pair[1].name for pair in common) or 'none'}"
        )
    return common[0] if common else (_scored(one), _scored(other))


def _scored(record: AdapterRecord) -> SplitRecord:
    for split in record.splits:
        if split.name == record.verified_split:
            return split
    raise InputError(f"no split is stored with {record.ref}: there is nothing to compare")


def _both_answered(
    bank: Bank,
    kind: Kind,
    first: Side,
    second: Side,
    splits: tuple[SplitRecord, SplitRecord],
) -> _Answered:
    """Return the examples that both predicted."""
    examples = bank.examples(second.record, splits[1].name)
    after = _predictions(bank, kind, second, splits[1], examples)
    if splits[0].digest == splits[1].digest:
        before = _predictions(bank, kind, first, splits[0], examples)
        count = len(examples)
        return _Answered(examples, np.arange(count), np.zeros(count, dtype=bool), before, after)
    others = bank.examples(first.record, splits[0].name)
    before = _predictions(bank, kind, first, splits[0], others)
    label = kind.label.name
    places = {key: row for row, key in reversed(list(enumerate(_inputs(others, label))))}
    pairs = [
        (places[key], row) for row, key in enumerate(_inputs(examples, label)) if key in places
    ]
    if not pairs:
        raise InputError(
            f"{first.record.ref} was scored on {splits[0].rows:,} examples of split "
            f"{splits[0].name!r}, {second.record.ref} on {splits[1].rows:,} others of split "
            f"{splits[1].name!r}: they have no example in common, so their answers cannot be "
            "compared; score both on the same data with taskbank score"
        )
    theirs, ours = np.array(pairs).T
    relabelled = [others.columns[label][a] != examples.columns[label][b] for a, b in pairs]
    return _Answered(
        examples.select(ours.tolist(), examples.origin),
        ours,
        np.array(relabelled),
        _take(kind, others.columns, before, theirs),
        _take(kind, examples.columns, after, ours),
    )


def _inputs(examples: Examples, label: str) -> list[str]:
    """Return each example's input as canonical text: equal inputs have equal texts."""
    return [
        canonical_json({name: value for name, value in row.items() if name != label})
        for row in examples.rows()
    ]


def _predictions(
    bank: Bank, kind: Kind, side: Side, split: SplitRecord, examples: Examples
) -> np.ndarray:
    if side.verification is None:
        reference: np.ndarray = bank.reference(side.record, split.name)
        return reference
    log = bank.verification_log
    shape = kind.shape(examples.columns, side.record.definition)
    for observation in log.observed(side.verification, side.record):
        if observation.split == split.name:
            predictions = log.predictions(observation)
            if predictions.shape == shape:
                readable: np.ndarray = np.nan_to_num(predictions)
                return readable
    raise NotFoundError(
        f"the bank has no predictions of verification {side.verification} for every example of "
        f"split {split.name!r} of {side.record.ref}: it did not predict them, or relied on an "
        "earlier verification; run taskbank verify-all --level full"
    )


def _with_known_labels(kind: Kind, record: AdapterRecord, found: _Answered) -> _Answered:
    """Return only the examples whose labels a version has."""
    rows = comparable_rows(kind, record, found.examples)
    if len(rows) == len(found.examples):
        return found
    if not rows:
        raise InputError(
            f"{record.ref} has none of the labels of the examples: there is nothing to compare"
        )
    chosen = np.array(rows)
    columns = found.examples.columns
    return _Answered(
        found.examples.select(rows, found.examples.origin),
        found.rows[chosen],
        found.relabelled[chosen],
        _take(kind, columns, found.before, chosen),
        _take(kind, columns, found.after, chosen),
    )


def _take(kind: Kind, columns: Columns, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the predictions of the examples at some positions, in the order given."""
    owner = kind.examples_of(columns)  # of each row of predictions, in ascending order
    starts, ends = np.searchsorted(owner, rows), np.searchsorted(owner, rows, side="right")
    places = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    taken: np.ndarray = predictions[np.concatenate(places)] if places else predictions[:0]
    return taken


def _buckets(
    kind: Kind,
    found: _Answered,
    one: AdapterRecord,
    other: AdapterRecord,
    before: np.ndarray,
    after: np.ndarray,
) -> np.ndarray:
    """Return the position in `BUCKETS` of each example's bucket."""
    columns = found.examples.columns
    if kind.label.type == "number":
        # Numbers that are shown alike have not changed; a wrong number is never quite right.
        answers = [
            [answer["label"] for answer in kind.answers(predictions, columns, record.definition)]
            for predictions, record in ((found.before, one), (found.after, other))
        ]
        alike = np.array([a == b for a, b in zip(*answers, strict=True)]) | (before == after)
        return np.select([alike, after < before], [3, 0], 1)
    return np.select([after < before, after > before, after < 1], [0, 1, 2], 3)


def _kept(kind: Kind, columns: Columns, asked: AskedPairs) -> np.ndarray:
    """Return which examples pass the filters."""
    label = kind.label
    keep = np.ones(len(columns[label.name]), dtype=bool)
    if asked.label is not None:
        several = label.type == "classes"
        keep &= np.array(
            [
                asked.label in value if several else as_text(value) == asked.label
                for value in columns[label.name]
            ]
        )
    wanted = asked.text.casefold()
    if wanted:
        texts = [values for name, values in columns.items() if name != label.name]
        keep &= np.array(
            [
                any(wanted in as_text(value).casefold() for value in values)
                for values in zip(*texts, strict=True)
            ]
        )
    return keep


def _labels(kind: Kind, columns: Columns) -> tuple[str, ...]:
    values = columns[kind.label.name]
    if kind.label.type == "class":
        found = set(values)
    elif kind.label.type == "classes":
        found = {label for value in values for label in value}
    else:
        return ()
    return tuple(sorted(found)[:SHOWN_LABELS])


def _metrics(
    kind: Kind,
    found: _Answered,
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
    found: _Answered,
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
        taken = _take(kind, found.examples.columns, predictions, rows)
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
                _label(kind, columns, records[1].definition, row)[:SHOWN_TEXT],
                (str(one["label"])[:SHOWN_TEXT], str(other["label"])[:SHOWN_TEXT]),
                (float(one["score"]), float(other["score"])),
                (float(correct[0][row]), float(correct[1][row])),
            )
        )
    return tuple(made)


def _label(kind: Kind, columns: Columns, definition: Definition, row: int) -> str:
    value: Json = columns[kind.label.name][row]
    if kind.label.type == "tags":  # as answers are shown: the entities
        words = columns["words"][row]
        return ", ".join(
            f"{' '.join(words[first : last + 1])}{f' ({name})' if name else ''}"
            for name, first, last in entities_of(value, seqeval_names(definition))
        )
    return as_text(value, ", " if kind.label.type in ("classes", "answers") else " ")
