"""Many tasks at once give what each gives alone, and share what they have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.kinds.tagging import TAGGING
from taskbank.model import mixed_batch as together
from taskbank.model.mixed_batch import PredictionRequest, predict_mixed
from taskbank.model.predict import predict_outputs
from tests.helpers.models import CLOSE, encoded_of, layers_seen, moved


def check(backbone: Backbone, asked: list[PredictionRequest]) -> None:
    """Raise unless tasks give together what each gives alone."""
    for one, found in zip(asked, predict_mixed(backbone, asked), strict=True):
        alone = predict_outputs(one.model, one.encoded)
        assert found.dtype == np.float32
        torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(alone), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("tokens", [1, 100, 4096])
def test_tasks_of_every_kind_of_change_give_together_what_each_gives_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, shared: bool, tokens: int
) -> None:
    """All methods, layers, sizes, and heads on texts and on tokens, over the same texts or each
    its own, in batches of any size."""
    monkeypatch.setattr(together, "TOKENS", tokens)
    models = [moved(backbone, name, seed) for seed, name in enumerate(plugins.names("methods"))]
    models += [
        moved(backbone, "houlsby", 20, size=3, layers="top:1"),
        moved(backbone, "lora", 21, layers="top:1"),
        moved(backbone, "pfeiffer", 22, kind=TAGGING, layers="1"),
        moved(backbone, "houlsby", 23, kind=TAGGING),
    ]
    inputs = [
        encoded_of(backbone, 6 if shared else 1 + n % 5, 0 if shared else n) for n in range(50)
    ]
    check(backbone, [PredictionRequest(m, e) for m, e in zip(models, inputs, strict=False)])


def test_a_backbone_that_needs_padding_computes_each_task_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where texts cannot be laid end to end, the outputs are the same."""
    asked = [
        PredictionRequest(moved(backbone, "houlsby", n), encoded_of(backbone, 3, n))
        for n in range(3)
    ]
    expected = predict_mixed(backbone, asked)
    monkeypatch.setattr(backbone, "supports_packing", False)
    monkeypatch.setattr(backbone.model.config, "_attn_implementation", "sdpa")
    for one, other in zip(predict_mixed(backbone, asked), expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), torch.from_numpy(other), **CLOSE)


def test_what_tasks_have_in_common_is_computed_once_a_text(backbone: Backbone) -> None:
    """Twenty tasks that adapt the top layer read the same texts: the layer below sees each token
    once, the top one twenty times."""
    models = [moved(backbone, "houlsby", seed, size=4, layers="top:1") for seed in range(20)]
    encoded = [encoded_of(backbone, 5) for _ in models]  # equal, and not the same object
    below, hook = layers_seen(backbone, 0)
    above, other = layers_seen(backbone, 1)
    predict_mixed(backbone, [PredictionRequest(m, e) for m, e in zip(models, encoded, strict=True)])
    hook.remove()
    other.remove()
    tokens = int(encoded[0].offsets[-1])
    assert sum(below) == tokens
    assert sum(above) == 20 * tokens


def test_texts_of_tasks_that_adapt_every_layer_are_not_raised_for_others(
    backbone: Backbone,
) -> None:
    """States are only computed of the texts that some task needs them of."""
    asked = [
        PredictionRequest(moved(backbone, "houlsby", 0, size=4), encoded_of(backbone, 9, 0)),
        PredictionRequest(
            moved(backbone, "houlsby", 1, size=4, layers="top:1"), encoded_of(backbone, 2, 1)
        ),
    ]
    below, hook = layers_seen(backbone, 0)
    predict_mixed(backbone, asked)
    hook.remove()
    assert sum(below) == sum(int(one.encoded.offsets[-1]) for one in asked)


@pytest.mark.parametrize("tokens", [1, 4096])
def test_requests_of_one_model_are_one_part_of_a_batch(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    """Requests of three models in turn give what each gives alone, and no model has two parts."""
    parts_of: list[int] = []

    def run(on: Any, batch: Any, parts: Any, **more: Any) -> Any:
        adaptations = [id(part.adaptation) for part in parts]
        assert len(set(adaptations)) == len(adaptations)
        parts_of.append(len(parts))
        return run_backbone(on, batch, parts, **more)

    monkeypatch.setattr(together, "run_backbone", run)
    monkeypatch.setattr(together, "TOKENS", tokens)
    models = [
        moved(backbone, "houlsby", 0, size=4),
        moved(backbone, "houlsby", 1, kind=TAGGING, size=4),
        moved(backbone, "lora", 2, layers="top:1"),
    ]
    check(
        backbone,
        [PredictionRequest(models[n % 3], encoded_of(backbone, 1 + n % 4, n)) for n in range(12)],
    )
    assert max(parts_of) == (1 if tokens == 1 else 2)
