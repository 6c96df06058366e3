"""The comparison of an exported model with the recorded predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.bank.records import AdapterRecord
from taskbank.errors import InputError
from taskbank.interchange import recorded
from taskbank.interchange.recorded import Run, check_predictions, padded_outputs
from taskbank.kinds.kind import Kind
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.model.load import encode_for, load_model
from taskbank.model.predict import predict_outputs
from taskbank.model.standalone import StandaloneModel
from tests.helpers.exports import put_task


@pytest.fixture
def task(own: Bank, pooled: Backbone) -> AdapterRecord:
    """A task of two classes."""
    return put_task(own, pooled, "single", "lora")


def runner(
    bank: Bank,
    record: AdapterRecord,
    backbone: Backbone,
    change: Callable[[np.ndarray], np.ndarray],
) -> Run:
    """Return a function that runs the task's own model, with changed outputs."""
    (own,) = load_model(bank, record, backbone).members
    model = StandaloneModel(own, record.method)

    @torch.no_grad()
    def run(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        return change(model(**tensors).numpy())

    return run


@pytest.mark.parametrize("kind", [SINGLE, TAGGING], ids=lambda kind: kind.name)
def test_padded_outputs_are_in_the_order_of_the_inputs(
    own: Bank, pooled: Backbone, kind: Kind
) -> None:
    """Batches are made by length, and every output is at the place of its input or token."""
    record = put_task(own, pooled, kind.name, "lora", rows=100)
    model = load_model(own, record, pooled)
    encoded = encode_for(record, pooled, own.examples(record, "test").columns)
    run = runner(own, record, pooled, lambda outputs: outputs)
    found = padded_outputs(run, encoded, 0, per_token=kind.per_token)
    assert np.allclose(found, predict_outputs(model, encoded), atol=1e-5)


def test_the_recorded_predictions_pass(own: Bank, pooled: Backbone, task: AdapterRecord) -> None:
    """The task's own model is no other."""
    same = runner(own, task, pooled, lambda outputs: outputs + 5e-5)
    check_predictions(own, task, pooled.tokenizer, same, "it")


@pytest.mark.parametrize("change", [lambda x: x + 2e-4, lambda x: x * np.nan])
def test_other_outputs_are_refused_with_their_row(
    own: Bank, pooled: Backbone, task: AdapterRecord, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    """A change beyond the bound, or a value that is no number, ends the export."""
    with pytest.raises(InputError, match=r"was not exported: it differs .* at row \d+ of test"):
        check_predictions(own, task, pooled.tokenizer, runner(own, task, pooled, change), "it")


def test_another_answer_is_refused(
    own: Bank, pooled: Backbone, task: AdapterRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that flips ends the export, however little the outputs moved."""
    monkeypatch.setattr(recorded, "BOUND", np.inf)
    other = runner(own, task, pooled, lambda outputs: outputs[:, ::-1])
    with pytest.raises(InputError, match=r"it gives another answer for row \d+ of test"):
        check_predictions(own, task, pooled.tokenizer, other, "it")
