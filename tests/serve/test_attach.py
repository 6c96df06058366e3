"""A stored task as a plain torch module."""

from __future__ import annotations

from typing import Any

import taskbank
from taskbank.bank.bank import Bank


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
