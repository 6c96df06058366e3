"""Tests of scripts/verification/false_alarms.py."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np

from scripts.verification.false_alarms import varied_batches
from taskbank.backbone.load import load_backbone
from taskbank.bank.bank import Bank
from taskbank.kinds.single import SINGLE
from taskbank.model import mixed_batch, predict
from taskbank.model.load import load_model
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed


def test_single_tasks_are_predicted_in_shuffled_batches_of_the_size() -> None:
    """Ten examples give batches of three in an order that is not by length."""
    lengths = np.arange(1, 11)
    with varied_batches(3, np.random.default_rng(0)):
        batches = predict.prediction_batches(lengths)
    assert [len(batch) for batch in batches] == [3, 3, 3, 1]
    order = np.concatenate(batches).tolist()
    assert sorted(order) == list(range(10)) != order
    assert [len(batch) for batch in predict.prediction_batches(lengths)] == [10]


def test_several_tasks_are_predicted_in_mixed_batches_of_the_size(mood: Bank, folder: Path) -> None:
    """Two tasks with four texts each take three mixed batches of at most three rows."""
    backbone, record = load_backbone(str(folder)), mood["mood"]
    texts = ("good", "bad day", "a film", "it was warm")
    columns = {"text": texts, "label": ("good",) * 4}
    encoded = SINGLE.encode(backbone.tokenizer, columns, record.definition, 16, labelled=False)
    asked = [PredictionRequest(load_model(mood, record, backbone), encoded) for _ in range(2)]
    with (
        patch.object(mixed_batch, "_outputs", wraps=mixed_batch._outputs) as outputs,
        varied_batches(3, np.random.default_rng(0)),
    ):
        varied = predict_mixed(backbone, asked)
    assert outputs.call_count == 3
    np.testing.assert_allclose(varied, predict_mixed(backbone, asked), atol=1e-5)
