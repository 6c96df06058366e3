"""A stored task as a plain torch module."""

from __future__ import annotations

from typing import Any

import pytest

import taskbank
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from tests.helpers.adapters import put_model
from tests.helpers.models import ensemble


def test_an_adapter_gives_a_plain_module(mood: Bank, backbone: Any) -> None:
    """The context manager gives a torch module whose logits are the stored ones."""
    import numpy as np
    import torch

    from taskbank.data.tokenization import encode

    record = mood["mood"]
    examples = mood.examples(record, "test")
    encoded = encode(backbone.tokenizer, examples.columns, ("text",), 64)
    with taskbank.attach(mood, "mood") as module:
        assert isinstance(module, torch.nn.Module)
        with torch.inference_mode():
            batch = encoded.batch(np.arange(len(examples)))
            mask = batch.grid[1].long()
            logits = module(batch.pad(batch.input_ids), mask).numpy()
    np.testing.assert_allclose(logits, mood.reference(record, "test"), atol=1e-5)


def test_an_ensemble_is_refused(own: Bank, backbone: Any) -> None:
    """It has several adapters and heads, and a module has one."""
    put_model(own, "moods", ensemble(backbone, "houlsby", range(2), size=4), {"size": 4})
    refused = pytest.raises(InputError, match="moods@1 is an ensemble of 2 trainings")
    with refused, taskbank.attach(own, "moods"):
        pass
