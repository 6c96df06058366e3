"""Jobs: their rows are taken in turns, and their predictions added in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.data.tokenization import encode
from taskbank.errors import DamagedError, DataError
from taskbank.kinds.definition import Definition
from taskbank.model.load import load_model
from taskbank.serve.job import TURN_ROWS, Job, Prepared
from tests.helpers.adapters import new_adapter
from tests.helpers.models import put_moved


def rows_of(count: int, text: str = "good") -> list[tuple[Any, ...]]:
    """Return rows of a text."""
    return [(f"{text} {number}",) for number in range(count)]


def test_a_turn_has_few_rows_and_few_tokens(own: Bank) -> None:
    """Short rows are taken sixteen at a time, long ones by their tokens, and each exactly once."""
    record = own.put(new_adapter())
    short = Job(record, rows_of(40))
    taken = []
    while not short.all_taken:
        taken.append(short.take())
    assert [len(piece) for piece in taken] == [TURN_ROWS, TURN_ROWS, 8]
    assert [row for piece in taken for row in piece.rows] == short.rows
    long = Job(record, rows_of(40, "good " * 200))
    assert len(long.take()) < TURN_ROWS


def test_contexts_count_with_all_their_windows(own: Bank) -> None:
    """A turn has one input that becomes many windows, however small a window is."""
    record = own.put(new_adapter(kind="span", definition=Definition(())))
    job = Job(record, [("who?", "the film was good " * 200)] * 8)
    assert len(job.take()) == 1


def test_inputs_that_do_not_suit_the_task_are_refused(own: Bank) -> None:
    """A number is no text."""
    with pytest.raises(DataError, match="input 2"):
        Job(own.put(new_adapter()), [("good",), (3,)])


def test_predictions_are_added_in_order(own: Bank, backbone: Backbone) -> None:
    """Each row gets its prediction, and a number that is not finite is an error that names it."""
    record = put_moved(own, backbone, "mood")
    job = Job(record, rows_of(TURN_ROWS + 3))
    outputs = np.zeros((TURN_ROWS + 3, 2), dtype=np.float32)
    outputs[TURN_ROWS, 1] = 9
    for _ in range(2):
        piece = job.take()
        encoded = encode(backbone.tokenizer, piece.columns, ("text",), 16)
        job.add(piece, outputs[piece.start : piece.stop], encoded)
    assert [one.text for one in job.predictions] == [row[0] for row in job.rows]
    assert job.predictions[TURN_ROWS].label == "good"
    assert job.predictions[TURN_ROWS].score > 0.99
    assert np.concatenate(job.outputs).shape == outputs.shape
    outputs[TURN_ROWS + 1] = np.nan
    with pytest.raises(DamagedError, match=f"input {TURN_ROWS + 2}: run taskbank verify-all"):
        job.add(piece, outputs[piece.start : piece.stop], encoded)


def test_predictions_are_in_order_whoever_is_first(own: Bank, backbone: Backbone) -> None:
    """Rows that another thread computes before the rows ahead of them keep their place."""
    record = put_moved(own, backbone, "mood")
    job = Job(record, rows_of(TURN_ROWS + 3))
    outputs = np.random.default_rng(0).normal(size=(TURN_ROWS + 3, 2)).astype(np.float32)
    complete = []
    for piece in reversed([job.take(), job.take()]):
        encoded = encode(backbone.tokenizer, piece.columns, ("text",), 16)
        complete.append(job.add(piece, outputs[piece.start : piece.stop], encoded))
    assert complete == [False, True]
    assert [one.text for one in job.predictions] == [row[0] for row in job.rows]
    assert np.array_equal(np.concatenate(job.outputs), outputs)


def test_a_shadow_goes_along_until_it_fails(own: Bank, backbone: Backbone) -> None:
    """A piece has the same rows of the shadow, and none once the shadow has failed."""
    record = put_moved(own, backbone, "mood")
    job = Job(record, rows_of(3), Job(record, rows_of(3)))
    piece = job.take()
    shadow = piece.shadow
    assert shadow is not None
    assert (shadow.job, shadow.start, shadow.stop) == (job.shadow, 0, 3)
    encoded = encode(backbone.tokenizer, piece.columns, ("text",), 16)
    model = load_model(own, record, backbone)
    prepared = Prepared(piece, encoded, model, Prepared(shadow, encoded, model))
    assert len(prepared.parts) == 2
    assert prepared.tokens == encoded.lengths.sum()
    shadow.job.future.set_exception(ValueError())
    assert piece.shadow is None
