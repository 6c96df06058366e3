"""What exports of merged weights share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.bank.bank import Bank
from taskbank.interchange.merged import (
    exported_head,
    files_in,
    labelled_config,
    own_outputs,
    saved_tokenizer,
)


@pytest.mark.parametrize(
    ("kind", "settings", "factor", "offset"),
    [
        ("single", {"temperature": 2.0}, 0.5, 0.0),
        ("multilabel", {}, 1.0, 0.0),
        ("regression", {"mean": 3.0, "std": 4.0}, 4.0, 3.0),
        ("span", {"temperature": 2.0}, 1.0, 0.0),
    ],
)
def test_a_head_gives_answers_in_their_unit(
    mood: Bank, kind: str, settings: dict[str, float], factor: float, offset: float
) -> None:
    """Logits are divided by the temperature, and numbers have their own mean and deviation."""
    record = replace(mood["mood"], kind=kind, settings=settings)
    head = torch.nn.Linear(3, 2)
    states = torch.randn(5, 3)
    weight, bias = exported_head(record, head)
    with torch.no_grad():
        outputs = head(states)
        exported = torch.nn.functional.linear(states, weight, bias)
    assert torch.allclose(exported, outputs * factor + offset, atol=1e-6)
    back = own_outputs(record, lambda found: found)(exported.numpy())
    assert back.dtype == np.float32
    assert np.allclose(back, outputs.numpy(), atol=1e-6)


def test_labels_of_another_task_are_replaced(mood: Bank, pooled: Backbone) -> None:
    """The configuration has the task's labels and settings; the encoder's stays as it is."""
    config = type(pooled.model.config).from_dict(
        pooled.model.config.to_dict() | {"id2label": {0: "x", 1: "y", 2: "z"}}
    )
    record = mood["mood"]
    made = labelled_config(record, config)
    assert made.id2label == {0: "bad", 1: "good"}
    assert made.label2id == {"bad": 0, "good": 1}
    assert made.problem_type == "single_label_classification"
    assert made.taskbank["settings"] == dict(record.settings)
    assert labelled_config(replace(record, kind="span", labels=()), config).num_labels == 2
    assert config.num_labels == 3


def test_a_saved_tokenizer_cuts_at_the_recorded_length(pooled: Backbone, tmp_path: Path) -> None:
    """The backbone's own tokenizer keeps its length."""
    before = pooled.tokenizer.model_max_length
    saved_tokenizer(pooled.tokenizer, 12, tmp_path)
    assert pooled.tokenizer.model_max_length == before != 12
    files = files_in(tmp_path)
    assert list(files) == sorted(files)
    assert b'"model_max_length": 12' in files["tokenizer_config.json"]
