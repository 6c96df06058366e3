"""The stand-alone model: for every method, kind and architecture it gives the task's outputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from taskbank import plugins
from taskbank.backbone.architectures import PROJECTIONS
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.load import load_backbone
from taskbank.kinds.kind import Kind
from taskbank.kinds.pair import PAIR
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.model.standalone import StandaloneModel, adapted_encoder
from taskbank.model.task_model import TaskModel
from tests.helpers.backbones import MODEL_TYPES, make_backbone
from tests.helpers.models import TWO, batch_of, moved, options_of

METHODS = plugins.names("methods")


@pytest.fixture(scope="module", params=MODEL_TYPES)
def any_backbone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Backbone:
    """A tiny backbone of each architecture in turn."""
    place = tmp_path_factory.mktemp("standalone") / request.param
    return load_backbone(str(make_backbone(place, request.param)))


def padded_inputs(backbone: Backbone, count: int = 9) -> tuple[torch.Tensor, ...]:
    """Return ids, mask and token types of texts of very different lengths."""
    batch = batch_of(backbone, count)
    inputs = [batch.pad(batch.input_ids), batch.grid[1].long()]
    if batch.token_type_ids is not None:
        inputs.append(batch.pad(batch.token_type_ids))
    return tuple(inputs)


@torch.no_grad()
def difference(model: TaskModel, method: str) -> float:
    """Return how far the outputs of a model and of its stand-alone one are apart at most."""
    inputs = padded_inputs(model.backbone)
    expected = model(*inputs)
    found = StandaloneModel(model, method)(*inputs)
    if model.per_token:
        found = found * inputs[1].unsqueeze(-1)
    assert found.shape == expected.shape
    assert expected.abs().max() > 0.01
    return float((found - expected).abs().max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [SINGLE, TAGGING], ids=lambda kind: kind.name)
def test_outputs_are_those_of_the_task(any_backbone: Backbone, method: str, kind: Kind) -> None:
    """Every method on every architecture, per text and per token, differs by rounding only."""
    model = moved(any_backbone, method, seed=1, kind=kind, **options_of(method))
    assert difference(model, method) < 2e-5


@pytest.mark.parametrize("method", METHODS)
def test_a_copy_with_hooks_gives_the_outputs_of_a_merged_one(
    backbone: Backbone, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method of a package that cannot merge is copied with its modules, whatever they change."""
    known = plugins.load("methods", method)
    monkeypatch.setattr(plugins, "load", lambda *_names: replace(known, merge=None))
    model = moved(backbone, method, seed=2, **options_of(method))
    assert difference(model, method) < 2e-5


@pytest.mark.parametrize("method", METHODS)
def test_the_backbone_stays_as_it_is(backbone: Backbone, method: str) -> None:
    """The copy shares no tensor with the backbone, which keeps its bits and gets no hook."""
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    model = moved(backbone, method, seed=3, **options_of(method))
    encoder, _ = adapted_encoder(model.adaptation, method)
    own = {tensor.data_ptr() for tensor in backbone.model.parameters()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in encoder.parameters())
    after = backbone.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    assert not any(getattr(one, name) for one in backbone.model.modules() for name in hooks)
    assert backbone.model.config._attn_implementation == "taskbank"


@pytest.mark.parametrize("pooling", ["first", "mean", "pooler"])
def test_every_pooling_is_copied(tmp_path: Path, pooling: str) -> None:
    """The first token, the mean and the pooler's vector are those of the backbone."""
    place = make_backbone(tmp_path / "bert")
    if pooling != "pooler":
        (place / "1_Pooling").mkdir()
        mode = {"first": "cls"}.get(pooling, pooling)
        (place / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": mode}))
    backbone = load_backbone(str(place))
    assert backbone.identity.pooling == pooling
    for method in ("lora", "full", "pfeiffer"):
        assert difference(moved(backbone, method, seed=4, **options_of(method)), method) < 2e-5


def test_some_layers_and_all_projections_are_merged(any_backbone: Backbone) -> None:
    """The projections of one layer are updated at their own places, the others stay."""
    projections = ",".join(PROJECTIONS)
    for layers in ("0", "1"):
        model = moved(any_backbone, "lora", seed=5, projections=projections, layers=layers, rank=3)
        assert difference(model, "lora") < 2e-5


def test_the_token_of_padding_may_be_named_in_a_text(tmp_path: Path) -> None:
    """RoBERTa would count positions from the tokens, and so lose count at a token of padding."""
    backbone = load_backbone(str(make_backbone(tmp_path / "roberta", "roberta")))
    model = moved(backbone, "lora", seed=6)
    ids = torch.tensor([[2, 20, 0, 21, 22, 3], [2, 20, 21, 3, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    with torch.no_grad():
        found = StandaloneModel(model, "lora")(ids, mask)
        assert torch.allclose(found, model(ids, mask), atol=1e-5)
        plain = model.head(model.encoder(ids, mask).last_hidden_state[:, 0])
    assert not torch.allclose(found, plain, atol=1e-3)


def test_inputs_longer_than_a_local_window_are_read_as_the_task_reads_them(tmp_path: Path) -> None:
    """ModernBERT's layers of local attention see the same tokens in the copy."""
    place = make_backbone(tmp_path / "modernbert", "modernbert", local_attention=8)
    backbone = load_backbone(str(place))
    assert batch_of(backbone, 9).lengths.max() > 20
    assert difference(moved(backbone, "pfeiffer", seed=7), "pfeiffer") < 2e-5


def test_two_texts_are_told_apart(backbone: Backbone) -> None:
    """Token types reach the encoder."""
    model = moved(backbone, "lora", seed=8)
    columns = {"text_a": ["good film", "bad"], "text_b": ["the day was warm", "the film"]}
    encoded = PAIR.encode(backbone.tokenizer, columns, TWO, 16, labelled=False)
    batch = encoded.batch(np.arange(2))
    ids, mask = batch.pad(batch.input_ids), batch.grid[1].long()
    types = batch.pad(batch.token_type_ids)
    with torch.no_grad():
        alone = StandaloneModel(model, "lora")
        assert torch.allclose(alone(ids, mask, types), model(ids, mask, types), atol=1e-5)
        assert not torch.allclose(alone(ids, mask, types), alone(ids, mask), atol=1e-3)
