"""Compares the predictions of an exported model with the recorded ones before it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from taskbank import plugins
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.data.encoded import Encoded
from taskbank.errors import InputError
from taskbank.kinds.span import SPAN
from taskbank.model.predict import prediction_batches

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

ROWS = 64  # examples that are compared
BOUND = 1e-4  # largest change of a prediction
Run = Callable[[Mapping[str, np.ndarray]], np.ndarray]


def check_predictions(
    bank: Bank, record: AdapterRecord, tokenizer: Any, run: Run, exported: str
) -> None:
    """Raise unless an exported model gives the recorded predictions of stored examples.

    The examples are the canaries of the verified split, which flip first, and others from all of
    it.

    Args:
        bank: the bank that stores the adapter.
        record: the adapter.
        tokenizer: the tokenizer of the exported model.
        run: returns the outputs of padded inputs, as `padded_outputs` takes it.
        exported: what is compared, for the error.

    Raises:
        InputError: if a prediction differs by more than `BOUND`, or an answer differs.
        DamagedError: if stored bytes differ from what was recorded.
    """
    kind: Kind = plugins.load("kinds", record.kind)
    split = next(one for one in record.splits if one.name == record.verified_split)
    examples = bank.examples(record, split.name)
    spread = np.linspace(0, len(examples) - 1, min(ROWS, len(examples))).astype(np.int64)
    rows = np.union1d(np.array(split.canary[: ROWS // 2], dtype=np.int64), spread)
    columns = examples.select(rows.tolist(), examples.origin).columns
    of_rows = np.isin(kind.examples_of(examples.columns), rows)
    reference = bank.reference(record, split.name)[of_rows]
    length = record.training["max_length"]
    encoded = kind.encode(tokenizer, columns, record.definition, length, labelled=False)
    batches = None
    if kind is SPAN and record.ensemble > 1:  # see `StandaloneEnsemble`
        windows = np.array([window.example for window in encoded.alignment])
        batches = np.split(np.arange(len(windows)), np.flatnonzero(np.diff(windows)) + 1)
        mask = {"answer_mask": encoded.token_targets["allowed"]}
        encoded = replace(encoded, flat={**encoded.flat, **mask})
    padding = tokenizer.pad_token_id
    outputs = padded_outputs(run, encoded, padding, batches, per_token=kind.per_token)
    predictions = kind.predictions(outputs, encoded)
    changes = kind.changes(reference, predictions, columns, record.definition)
    worst = int(changes.moved.argmax())
    if changes.moved[worst] > BOUND:
        raise InputError(
            f"{record.ref} was not exported: {exported} differs from the recorded predictions by "
            f"{changes.moved[worst]:.2g} at row {rows[worst] + 1} of {split.name}, and at most "
            f"{BOUND:g} is allowed; run taskbank verify-all --task {record.ref}"
        )
    if changes.changed.any():
        first = int(rows[np.flatnonzero(changes.changed)[0]])
        raise InputError(
            f"{record.ref} was not exported: {exported} gives another answer for row {first + 1} "
            f"of {split.name} than the one recorded; run taskbank verify-all --task {record.ref}"
        )


def padded_outputs(
    run: Run,
    encoded: Encoded,
    padding: int,
    batches: Sequence[np.ndarray] | None = None,
    *,
    per_token: bool,
) -> np.ndarray:
    """Return the outputs of a model that reads padded inputs.

    Args:
        run: returns the outputs of `input_ids`, `attention_mask` and what else is known of every
            token, such as `token_type_ids`, each int64 of shape [batch, tokens]: an array of shape
            [batch, outputs], or [batch, tokens, outputs] if per token.
        encoded: the inputs.
        padding: the token of padding.
        batches: positions of the inputs of each batch; None means those of similar lengths.
        per_token: whether the outputs are per token.

    Returns:
        float32 outputs in the order of the inputs, of shape [inputs, outputs], or [all tokens,
        outputs] if per token.
    """
    found: np.ndarray | None = None
    for rows in batches or prediction_batches(encoded.lengths):
        index, inside = encoded.padded_index(rows)
        inputs = {
            name: np.where(inside, values[index], padding if name == "input_ids" else 0).astype(
                "i8"
            )
            for name, values in encoded.flat.items()
        }
        outputs = run(inputs | {"attention_mask": inside.astype(np.int64)})
        outputs = outputs[inside] if per_token else outputs
        if found is None:
            count = int(encoded.offsets[-1]) if per_token else len(encoded)
            found = np.empty((count, outputs.shape[1]), dtype=np.float32)
        found[encoded.token_index(rows) if per_token else rows] = outputs
    assert found is not None  # noqa: S101 - every kind encodes to at least one input
    return found
