"""One computation of the backbone for texts of any length and rows of any tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone, trunk_states
from taskbank.backbone.load import load_backbone
from taskbank.data.tokenization import encode
from taskbank.kinds.single import SINGLE
from tests.helpers.models import CLOSE, METHODS_WITH_LAYERS, batch_of, moved, texts


@torch.no_grad()
def test_states_are_those_that_the_model_itself_gives_for_padded_texts(
    any_backbone: Backbone, any_folder: Path
) -> None:
    """A model that knows nothing of taskbank gives the same states, text by text."""
    batch = batch_of(any_backbone)
    index, inside = batch.grid
    plain: Any = AutoModel.from_pretrained(any_folder).eval()
    types = (
        {} if batch.token_type_ids is None else {"token_type_ids": batch.pad(batch.token_type_ids)}
    )
    expected = plain(
        input_ids=batch.pad(batch.input_ids, any_backbone.tokenizer.pad_token_id),
        attention_mask=inside.long(),
        **types,
    ).last_hidden_state[inside]
    found = run_backbone(any_backbone, batch, ())
    torch.testing.assert_close(found.states, expected, **CLOSE)
    assert torch.equal(index[inside], torch.arange(len(batch.input_ids)))


@torch.no_grad()
def test_a_text_has_the_same_vector_beside_any_others(any_backbone: Backbone) -> None:
    """Alone, and among others of any length and in any order, by every way to one vector."""
    encoded = encode(any_backbone.tokenizer, {"text": texts(9)}, ("text",), 64)
    alone = torch.cat(
        [run_backbone(any_backbone, encoded.batch(np.array([row])), ()).vectors for row in range(9)]
    )
    for rows in (np.arange(9), np.array([8, 0, 3]), np.argsort(encoded.lengths)):
        together = run_backbone(any_backbone, encoded.batch(rows), ()).vectors
        torch.testing.assert_close(together, alone[rows], **CLOSE)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_vectors_and_their_gradients_are_those_of_the_states(
    any_backbone: Backbone, pooling: str
) -> None:
    """The mean of a text's tokens, or its first one, computed here by hand."""
    batch = batch_of(any_backbone)
    states = torch.randn(len(batch.input_ids), 5, requires_grad=True)
    from taskbank.backbone.forward import BackboneOutput

    found = BackboneOutput(batch, states, pooling, None).vectors
    parts = states.split(batch.lengths.tolist())
    expected = torch.stack([p.mean(dim=0) if pooling == "mean" else p[0] for p in parts])
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    (gradient,) = torch.autograd.grad((found * weights).sum(), states, retain_graph=True)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), states)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("method", plugins.names("methods"))
def test_gradients_are_those_of_padded_texts(folder: Path, method: str) -> None:
    """What is trained has the same gradients with and without padding."""
    found = []
    for packed in (True, False):
        backbone = load_backbone(str(folder))
        if not packed:
            backbone.supports_packing = False
            backbone.model.config._attn_implementation = "sdpa"
        model = moved(backbone, method, 0)
        batch = batch_of(backbone)
        told = {"targets": torch.arange(9) % 2}
        SINGLE.loss(model.outputs(batch), told, None).backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-3, atol=1e-6)


# The trunk


@pytest.mark.parametrize("method", [m for m in METHODS_WITH_LAYERS if m != "full"])
def test_from_what_enters_the_lowest_adapted_layer_the_rest_is_the_same(
    any_backbone: Backbone, method: str
) -> None:
    """Outputs and gradients are those of the whole backbone, bit by bit."""
    model = moved(any_backbone, method, 0, layers="top:1")
    batch = batch_of(any_backbone)
    states = trunk_states(any_backbone, batch, model.adaptation.lowest_layer)
    assert states.shape == (len(batch.input_ids), 32)
    from dataclasses import replace

    outputs, gradients = [], []
    for inputs in (batch, replace(batch, states=states)):
        model.zero_grad()
        outputs.append(model.outputs(inputs))
        outputs[-1].square().sum().backward()
        gradients.append([p.grad.clone() for p in model.adapted.parameters()])
    assert torch.equal(*outputs)
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_what_lies_below_is_not_computed(backbone: Backbone) -> None:
    """With given states, no module of the layers below is called."""
    model = moved(backbone, "houlsby", 0, layers="top:1")
    batch = batch_of(backbone)
    states = trunk_states(backbone, batch, 1)
    below = backbone.model.get_submodule("encoder.layer.0.attention")

    def refuse(*_: object) -> None:
        raise AssertionError

    hook = below.register_forward_pre_hook(refuse)
    try:
        from dataclasses import replace

        model.outputs(replace(batch, states=states))
    finally:
        hook.remove()
