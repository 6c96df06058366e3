"""The examples that two versions, or two verifications of one, both predicted.

Where two versions have no split in common, these are the examples that both of their splits have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord, SplitRecord
from taskbank.data.examples import Examples
from taskbank.digests import canonical_json
from taskbank.errors import InputError, NotFoundError
from taskbank.promotion.paired import comparable_rows

if TYPE_CHECKING:
    from taskbank.kinds.kind import Columns, Kind


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
class Common:
    """Examples with the predictions of both, the row of each in the second's split, and whether
    its label differs in the first's."""

    examples: Examples
    rows: np.ndarray
    relabelled: np.ndarray
    before: np.ndarray
    after: np.ndarray


def common_splits(
    one: AdapterRecord, other: AdapterRecord
) -> list[tuple[SplitRecord, SplitRecord]]:
    """Return the splits that both have, the scored ones first."""
    pairs = [(a, b) for b in other.splits for a in one.splits if a.digest == b.digest]
    scored = (other.verified_split, one.verified_split)
    return sorted(pairs, key=lambda pair: (pair[1].name != scored[0], pair[0].name != scored[1]))


def chosen_splits(
    one: AdapterRecord,
    other: AdapterRecord,
    common: Sequence[tuple[SplitRecord, SplitRecord]],
    wanted: str | None,
) -> tuple[SplitRecord, SplitRecord]:
    """Return the splits of both to compare: the scored ones if none is in common.

    Args:
        one: the first version.
        other: the second one.
        common: the splits that both have.
        wanted: the second's name of the split; None means the first in common.

    Raises:
        NotFoundError: if the wanted split is not in common.
        InputError: if no split is stored with a version.
    """
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


def common_examples(
    bank: Bank,
    kind: Kind,
    first: Side,
    second: Side,
    splits: tuple[SplitRecord, SplitRecord],
) -> Common:
    """Return the examples that both predicted.

    Args:
        bank: an open bank.
        kind: the kind of both.
        first: the baseline.
        second: what is compared with it.
        splits: the split of each.

    Raises:
        InputError: if the splits have no example in common.
        NotFoundError: if a verification did not predict its version.
        DamagedError: if the stored bytes are missing or differ from what was recorded.
    """
    examples = bank.examples(second.record, splits[1].name)
    after = _predictions(bank, kind, second, splits[1], examples)
    if splits[0].digest == splits[1].digest:
        before = _predictions(bank, kind, first, splits[0], examples)
        count = len(examples)
        return Common(examples, np.arange(count), np.zeros(count, dtype=bool), before, after)
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
    return Common(
        examples.select(ours.tolist(), examples.origin),
        ours,
        np.array(relabelled),
        take(kind, others.columns, before, theirs),
        take(kind, examples.columns, after, ours),
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


def with_known_labels(kind: Kind, record: AdapterRecord, found: Common) -> Common:
    """Return only the examples whose labels a version has.

    Raises:
        InputError: if it has none of them.
    """
    rows = comparable_rows(kind, record, found.examples)
    if len(rows) == len(found.examples):
        return found
    if not rows:
        raise InputError(
            f"{record.ref} has none of the labels of the examples: there is nothing to compare"
        )
    chosen = np.array(rows)
    columns = found.examples.columns
    return Common(
        found.examples.select(rows, found.examples.origin),
        found.rows[chosen],
        found.relabelled[chosen],
        take(kind, columns, found.before, chosen),
        take(kind, columns, found.after, chosen),
    )


def take(kind: Kind, columns: Columns, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the predictions of the examples at some positions, in the order given."""
    owner = kind.examples_of(columns)  # of each row of predictions, in ascending order
    starts, ends = np.searchsorted(owner, rows), np.searchsorted(owner, rows, side="right")
    places = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
    taken: np.ndarray = predictions[np.concatenate(places)] if places else predictions[:0]
    return taken
