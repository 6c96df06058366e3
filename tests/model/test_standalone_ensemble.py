"""The stand-alone ensemble: members are combined as their kind combines them, and share memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.kinds.span import SPAN
from taskbank.model.standalone_ensemble import COMBINATIONS, StandaloneEnsemble
from tests.helpers.models import TWO, ensemble
from tests.helpers.rows import labelled


@pytest.mark.parametrize("name", [name for name in COMBINATIONS if name != "span"])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_outputs_are_combined_as_the_kind_does(name: str, scale: float) -> None:
    """Probabilities near zero and one, too, differ by the rounding of float32 only."""
    outputs = scale * np.random.default_rng(1).standard_normal((3, 9, 4)).astype(np.float32)
    encoded: Any = None  # these kinds read nothing of the inputs
    expected = plugins.load("kinds", name).combine(list(outputs), encoded)
    found = COMBINATIONS[name](torch.from_numpy(outputs), None).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_windows_of_a_question_are_combined_together(backbone: Backbone) -> None:
    """Each batch is one example's windows, whose tokens share the sum of the probabilities."""
    columns = labelled("span", 5, seed=1)
    encoded = SPAN.encode(backbone.tokenizer, columns, TWO, 12, labelled=False)
    shape = (3, int(encoded.offsets[-1]), 2)
    outputs = 5 * np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    expected = SPAN.combine(list(outputs), encoded)
    examples = np.array([window.example for window in encoded.alignment])
    assert len(examples) > 5
    for example in range(5):
        rows = np.flatnonzero(examples == example)
        index, inside = encoded.padded_index(rows)
        mask = torch.from_numpy(encoded.token_targets["allowed"][index] & inside)
        found = COMBINATIONS["span"](torch.from_numpy(outputs[:, index]), mask).numpy()
        np.testing.assert_allclose(found[inside], expected[index[inside]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["houlsby", "lora"])
def test_members_share_the_memory_of_what_is_equal(backbone: Backbone, method: str) -> None:
    """An encoder of a member has memory of its own only for what the member changes."""
    model = ensemble(backbone, method, range(3), layers="top:1")
    alone: Any = StandaloneEnsemble(model.members, method, "single")
    first, *others = (dict(one.encoder.named_parameters()) for one in alone.each)
    for other in others:
        own = {n for n, one in other.items() if one.data_ptr() != first[n].data_ptr()}
        assert own
        assert all(name.startswith(backbone.layer(1)) for name in own)
        assert method == "houlsby" or all("attention" in name for name in own)
