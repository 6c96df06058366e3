"""The contract that every method keeps on every architecture."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import run_backbone
from taskbank.backbone.hooks import Part
from taskbank.errors import DamagedError, InputError
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.methods.houlsby import HOULSBY
from taskbank.model.task_model import task_model
from tests.helpers.models import classes, inputs_of, options_of, steps, vectors_of

METHODS = plugins.names("methods")
# Wide enough that no adapter starts with every rectified unit at nought.
NEAR = ("houlsby", "pfeiffer", "parallel")  # start near the identity; the others start as it


def test_training_moves_what_is_stored_and_no_bit_of_the_backbone(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """Three steps change every stored tensor, none of the frozen ones, and taking the task off
    restores modules, hooks and outputs exactly (checked by the fixture)."""
    model = task_model(any_backbone, SINGLE, classes(3), method, options_of(method), seed=0)
    before = {name: tensor.clone() for name, tensor in model.trained_tensors().items()}
    own = {tensor.data_ptr() for tensor in model.trained_tensors().values()}
    frozen = {
        n: t.clone() for n, t in model.encoder.state_dict().items() if t.data_ptr() not in own
    }
    steps(model, inputs_of(any_backbone))
    unmoved = [n for n, t in model.trained_tensors().items() if torch.equal(t, before[n])]
    after = model.encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in frozen.items())
    assert unmoved == []


def test_an_untrained_task_leaves_the_vectors_as_good_as_unchanged(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """The near-identity start moves a vector by less than a hundredth of its length, and the
    methods that start from nothing do not move it by one bit."""
    model = task_model(any_backbone, SINGLE, classes(3), method, options_of(method), seed=0)
    vectors = vectors_of(any_backbone, model)
    moved = (vectors - plain).norm(dim=1) / plain.norm(dim=1)
    assert moved.max() < 0.01
    assert (moved.max() > 0) == (method in NEAR)


def test_saving_and_loading_gives_the_same_predictions_bit_for_bit(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """Stored bytes put onto the backbone again predict exactly what was predicted before."""
    inputs = inputs_of(any_backbone)
    model = task_model(any_backbone, SINGLE, classes(3), method, options_of(method), seed=0)
    steps(model, inputs)
    data = save({name: t.contiguous() for name, t in model.trained_tensors().items()})
    with torch.no_grad():
        expected = model.outputs(inputs)
    model = task_model(any_backbone, SINGLE, classes(3), method, options_of(method), seed=1)
    model.load_tensors(load(data))
    model.eval()
    with torch.no_grad():
        assert torch.equal(model.outputs(inputs), expected)


def test_the_seed_decides_the_start_and_no_other_source_of_chance_does(
    backbone: Backbone, method: str
) -> None:
    """Equal seeds start equal whatever the global generator's state, and leave that alone."""
    starts = []
    for seed in (0, 0, 1):
        state = torch.random.get_rng_state()
        model = task_model(backbone, SINGLE, classes(3), method, options_of(method), seed)
        starts.append(save({n: t.contiguous() for n, t in model.trained_tensors().items()}))
        assert torch.equal(torch.random.get_rng_state(), state)
        torch.rand(1)
    assert starts[0] == starts[1] != starts[2]


def test_a_backbone_is_restored_when_its_use_fails(backbone: Backbone, method: str) -> None:
    """An exception in the middle of the model, while training, leaves nothing behind."""
    before = vectors_of(backbone)
    model = task_model(backbone, SINGLE, classes(2), method, options_of(method), seed=0)

    def fail(*_: object) -> None:
        raise RuntimeError

    model.train()
    hook = backbone.model.get_submodule("encoder").register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError):
            model.outputs(inputs_of(backbone))
    finally:
        hook.remove()
    assert not any("forward" in vars(module) for module in backbone.model.modules())
    assert torch.equal(vectors_of(backbone), before)


def test_tasks_share_a_backbone_without_knowing_of_each_other(
    backbone: Backbone, method: str
) -> None:
    """Two models of one backbone, used in turn, give what each gives alone."""
    models = [
        task_model(backbone, SINGLE, classes(3), method, options_of(method), seed=seed)
        for seed in (0, 1)
    ]
    inputs = inputs_of(backbone)
    alone = []
    for model in models:
        steps(model, inputs)
        with torch.no_grad():
            alone.append(model.outputs(inputs))
    assert not torch.equal(*alone)
    for _ in range(2):
        for model, expected in zip(models, alone, strict=True):
            with torch.no_grad():
                assert torch.equal(model.outputs(inputs), expected)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "type"])
def test_tensors_that_do_not_fit_are_named(backbone: Backbone, method: str, change: str) -> None:
    """A missing, unexpected, misshapen or mistyped tensor is an error with its name, and no
    tensor is taken over before that."""
    model = task_model(backbone, SINGLE, classes(2), method, options_of(method), seed=0)
    tensors = {name: torch.ones_like(tensor) for name, tensor in model.trained_tensors().items()}
    if change == "missing":
        del tensors["head.bias"]
    elif change == "unexpected":
        tensors["head.other"] = torch.zeros(1)
    elif change == "shape":
        tensors["head.bias"] = torch.ones(3)
    else:
        tensors["head.bias"] = torch.ones(2, dtype=torch.float64)
    with pytest.raises(DamagedError, match=r"head\."):
        model.load_tensors(tensors)
    assert not torch.equal(model.trained_tensors()["head.weight"], tensors["head.weight"])


def test_a_head_on_tokens_is_trained_as_one_on_texts_is(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """A kind that labels words has outputs for every token, and the method adapts what it reads."""
    inputs = inputs_of(any_backbone)
    model = task_model(any_backbone, TAGGING, classes(3), method, options_of(method), 0)
    model.eval()
    parts = (Part(len(inputs), model.adaptation),)
    with torch.no_grad():
        states = run_backbone(any_backbone, inputs, parts).states
        head: Any = model.head
        expected = states @ head.weight.T + head.bias
        torch.testing.assert_close(model.outputs(inputs), expected)
    assert states.shape == (*inputs.input_ids.shape, 32)
    told = {"targets": inputs.pad(inputs.input_ids % 3 + 1)}
    TAGGING.loss(inputs.pad(model.outputs(inputs)), told, None).backward()
    adapted = model.adapted if method != "linear" else model.head
    trained = [p for p in adapted.parameters() if p.requires_grad]
    assert any(p.grad is not None and p.grad.any() for p in trained)


def test_heads_of_different_sizes_come_and_go_on_one_backbone(backbone: Backbone) -> None:
    """Tasks of two and of seven labels give their own logits, in turn and again."""
    inputs = inputs_of(backbone)
    options = HOULSBY.complete({"size": 4})
    shapes = []
    for labels in (2, 7, 2):
        model = task_model(backbone, SINGLE, classes(labels), "houlsby", options, seed=0)
        shapes.append(model.outputs(inputs).shape[1])
    assert shapes == [2, 7, 2]


LAYERNORMS = {"houlsby": "trained", "pfeiffer": "frozen", "parallel": "frozen"}


@pytest.mark.parametrize("name", LAYERNORMS)
def test_layernorms_are_trained_or_frozen_and_the_default_changes_no_digest(
    backbone: Backbone, name: str
) -> None:
    """The option adds the LayerNorms or leaves them out; its default, which is what versions
    without the option did, is not among the complete options, so their digests stay the same."""
    known = plugins.load("methods", name)
    trained = {}
    for choice in ("trained", "frozen"):
        options = known.complete({"size": 4, "layers": "1", "layernorms": choice})
        assert ("layernorms" in options) == (choice != LAYERNORMS[name])
        model = task_model(backbone, SINGLE, classes(2), name, options, seed=0)
        trained[choice] = model.trained_tensors()
    default = task_model(backbone, SINGLE, classes(2), name, {"size": 4, "layers": "1"}, seed=0)
    assert default.trained_tensors().keys() == trained[LAYERNORMS[name]].keys()
    norms = trained["trained"].keys() - trained["frozen"].keys()
    assert norms == {
        f"layernorm.encoder.layer.1.{place}.LayerNorm.{leaf}"
        for place in ("attention.output", "output")
        for leaf in ("weight", "bias")
    }
    with pytest.raises(InputError, match="layernorms is 'both'"):
        known.complete({"layernorms": "both"})
