"""One computation of the backbone for texts of any length and rows of any tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from taskbank import plugins
from taskbank.backbone.attention import packs
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import compute, trunk_states
from taskbank.backbone.hooks import Part
from taskbank.backbone.load import load_backbone
from taskbank.data.packed import Batch, joined
from taskbank.data.tokenization import encode
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.model.task_model import TaskModel, task_model
from tests.helpers.tiny import MODEL_TYPES, make_backbone

WORDS = ["good", "bad", "film", "was", "the", "very", "today", "warm", "xyz"]
PACKING = tuple(name for name in MODEL_TYPES if name != "deberta-v2")
TWO = Definition(("no", "yes"))
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of very different lengths."""
    chance = np.random.default_rng(seed)
    return [" ".join(chance.choice(WORDS, size=chance.integers(1, 30))) for _ in range(count)]


def batch_of(backbone: Backbone, count: int = 9, seed: int = 0) -> Batch:
    """Return a batch of texts."""
    encoded = encode(backbone.tokenizer, {"text": texts(count, seed)}, ("text",), 64)
    return encoded.batch(np.arange(count))


@pytest.fixture(scope="module", params=MODEL_TYPES)
def any_folder(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Path:
    """The folder of a tiny backbone of each architecture in turn."""
    more = {"modernbert": {"local_attention": 8}}.get(request.param, {})
    return make_backbone(tmp_path_factory.mktemp("engine") / request.param, request.param, **more)


@pytest.fixture(scope="module")
def any_backbone(any_folder: Path) -> Backbone:
    """The same, loaded."""
    return load_backbone(str(any_folder))


def moved(backbone: Backbone, method: str, seed: int, kind: Any = SINGLE, **options: Any) -> Any:
    """Return a task's model, every tensor of it moved away from its start."""
    model = task_model(backbone, kind, TWO, method, options, seed)
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.trained().values():
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=chance))
    return model.eval()


@torch.no_grad()
def test_states_are_those_that_the_model_itself_gives_for_padded_texts(
    any_backbone: Backbone, any_folder: Path
) -> None:
    """A model that knows nothing of taskbank gives the same states, text by text."""
    batch = batch_of(any_backbone)
    index, inside = batch.grid
    plain: Any = AutoModel.from_pretrained(any_folder).eval()
    types = (
        {}
        if batch.token_type_ids is None
        else {"token_type_ids": batch.padded(batch.token_type_ids)}
    )
    expected = plain(
        input_ids=batch.padded(batch.input_ids, any_backbone.tokenizer.pad_token_id),
        attention_mask=inside.long(),
        **types,
    ).last_hidden_state[inside]
    found = compute(any_backbone, batch, ())
    torch.testing.assert_close(found.states, expected, **CLOSE)
    assert torch.equal(index[inside], torch.arange(len(batch.input_ids)))


def test_every_architecture_but_one_computes_texts_without_padding(any_backbone: Backbone) -> None:
    """DeBERTa attends by relative positions of its own, and is computed padded."""
    assert any_backbone.packs == (any_backbone.identity.model_type in PACKING)


@torch.no_grad()
def test_a_text_has_the_same_vector_beside_any_others(any_backbone: Backbone) -> None:
    """Alone, and among others of any length and in any order, by every way to one vector."""
    encoded = encode(any_backbone.tokenizer, {"text": texts(9)}, ("text",), 64)
    alone = torch.cat(
        [compute(any_backbone, encoded.batch(np.array([row])), ()).vectors for row in range(9)]
    )
    for rows in (np.arange(9), np.array([8, 0, 3]), np.argsort(encoded.lengths)):
        together = compute(any_backbone, encoded.batch(rows), ()).vectors
        torch.testing.assert_close(together, alone[rows], **CLOSE)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_vectors_and_their_gradients_are_those_of_the_states(
    any_backbone: Backbone, pooling: str
) -> None:
    """The mean of a text's tokens, or its first one, computed here by hand."""
    batch = batch_of(any_backbone)
    states = torch.randn(len(batch.input_ids), 5, requires_grad=True)
    from taskbank.backbone.forward import Computed

    found = Computed(batch, states, pooling, None).vectors
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
            backbone.packs = False
            backbone.model.config._attn_implementation = "sdpa"
        model = moved(backbone, method, 0)
        batch = batch_of(backbone)
        told = {"targets": torch.arange(9) % 2}
        SINGLE.loss(model.outputs(batch), told, None).backward()
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-3, atol=1e-6)


def test_a_model_that_looks_at_neighbours_elsewhere_is_computed_padded(folder: Path) -> None:
    """A convolution over tokens would let one text see another: it is noticed, not believed."""
    model = AutoModel.from_pretrained(folder).eval()
    assert packs(model, 0)
    model = AutoModel.from_pretrained(folder).eval()

    def look(_module: object, _inputs: object, states: torch.Tensor) -> torch.Tensor:
        return states + states.roll(1, dims=1)

    model.embeddings.register_forward_hook(look)
    assert not packs(model, 0)
    assert model.config._attn_implementation == "sdpa"


# Rows of different tasks


def mixture(backbone: Backbone) -> list[TaskModel]:
    """Return tasks of every method that mixes, of several sizes and layers."""
    found = [
        moved(backbone, method, seed)
        for seed, method in enumerate(plugins.names("methods"))
        if method not in ("full", "top-k")
    ]
    found.append(moved(backbone, "houlsby", 11, size=3, activation="relu"))
    found.append(moved(backbone, "lora", 12, layers="top:1", projections="query,output,down"))
    found.append(moved(backbone, "pfeiffer", 13, kind=TAGGING, layers="0"))
    return found


@torch.no_grad()
def test_rows_of_different_tasks_are_computed_as_each_task_alone(any_backbone: Backbone) -> None:
    """One pass over rows of different methods, sizes, layers and heads gives each task what it
    gives alone, within rounding."""
    if not any_backbone.packs:
        pytest.skip("padded rows of different tasks are not computed together")
    models = mixture(any_backbone)
    batches = [batch_of(any_backbone, 1 + number % 3, number) for number in range(len(models))]
    parts = [Part(len(b), m.adaptation) for b, m in zip(batches, models, strict=True)]
    computed = compute(any_backbone, joined(batches), parts)
    for model, batch, own in zip(models, batches, computed.divided(parts), strict=True):
        torch.testing.assert_close(model.read(own), model.outputs(batch), **CLOSE)


@torch.no_grad()
def test_bare_rows_stay_bare_beside_adapted_ones(any_backbone: Backbone) -> None:
    """A part without a task gives what the backbone gives."""
    if not any_backbone.packs:
        pytest.skip("padded rows of different tasks are not computed together")
    batch = batch_of(any_backbone)
    parts = [Part(4), Part(5, moved(any_backbone, "houlsby", 0).adaptation)]
    found, bare = compute(any_backbone, batch, parts), compute(any_backbone, batch, ())
    torch.testing.assert_close(found.vectors[:4], bare.vectors[:4], **CLOSE)
    assert (found.vectors[4:] - bare.vectors[4:]).abs().max() > 0.01


@torch.no_grad()
def test_one_tasks_infinite_outputs_do_not_reach_another(backbone: Backbone) -> None:
    """What is no number stays in its own rows."""
    broken, whole = moved(backbone, "houlsby", 0), moved(backbone, "houlsby", 1)
    broken.trained()["adapter.0.attention.up.bias"].fill_(torch.inf)
    batch = batch_of(backbone)
    parts = [Part(4, broken.adaptation), Part(5, whole.adaptation)]
    vectors = compute(backbone, batch, parts).vectors
    assert not vectors[:4].isfinite().any()
    expected = compute(backbone, batch, [Part(9, whole.adaptation)]).vectors
    torch.testing.assert_close(vectors[4:], expected[4:], **CLOSE)


# The trunk


@pytest.mark.parametrize("method", [m for m in plugins.names("methods") if m != "full"])
def test_from_what_enters_the_lowest_adapted_layer_the_rest_is_the_same(
    any_backbone: Backbone, method: str
) -> None:
    """Outputs and gradients are those of the whole backbone, bit by bit."""
    model = moved(any_backbone, method, 0, layers="top:1")
    batch = batch_of(any_backbone)
    states = trunk_states(any_backbone, batch, model.adaptation.lowest)
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


# Batches


def test_batches_are_joined_and_padded_as_they_are_written(backbone: Backbone) -> None:
    """Padding and taking it off again gives the same batch; joining keeps the order."""
    one, other = batch_of(backbone, 3, 0), batch_of(backbone, 2, 1)
    both = joined([one, other])
    assert len(both) == 5
    assert torch.equal(both.input_ids, torch.cat([one.input_ids, other.input_ids]))
    again = Batch.of_padded(
        both.padded(both.input_ids), both.grid[1], both.padded(both.token_type_ids)
    )
    assert torch.equal(again.input_ids, both.input_ids)
    assert again.lengths.tolist() == both.lengths.tolist()
    left = Batch.of_padded(both.padded(both.input_ids).flip(1), both.grid[1].flip(1))
    assert left.lengths.tolist() == both.lengths.tolist()


@pytest.mark.parametrize("lengths", [[4], [4, 4, 4], [1, 9, 2, 9, 5], [60, 1, 1, 1], [2, 3, 4]])
def test_the_arrangement_for_attention_holds_every_token_once(lengths: list[int]) -> None:
    """Going there and back is the identity, and little of it is padding."""
    batch = Batch(torch.arange(sum(lengths)), np.array(lengths))
    layout = batch.layout
    cells = sum(group.inputs * group.width for group in layout.groups)
    assert cells <= 1.25 * sum(lengths)
    if layout.spread is None:
        assert layout.back.tolist() == list(range(sum(lengths)))
    else:
        assert torch.equal(layout.spread[layout.back], torch.arange(sum(lengths)))
        assert (layout.spread < sum(lengths)).sum() == sum(lengths)
