"""The contract that every method keeps on every architecture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import compute
from taskbank.backbone.hooks import Part
from taskbank.backbone.load import load_backbone
from taskbank.data.packed import Batch
from taskbank.data.tokenization import encode
from taskbank.errors import DamagedError, InputError
from taskbank.kinds.definition import Definition
from taskbank.kinds.single import SINGLE
from taskbank.kinds.tagging import TAGGING
from taskbank.methods.bottleneck import Adapter
from taskbank.methods.houlsby import HOULSBY
from taskbank.methods.layers import check_layers, select_layers
from taskbank.model.task_model import TaskModel, task_model
from tests.helpers.tiny import MODEL_TYPES, make_backbone, sentences

METHODS = plugins.names("methods")
# Wide enough that no adapter starts with every rectified unit at nought.
OPTIONS = {"houlsby": {"size": 4}, "pfeiffer": {"size": 16}, "parallel": {"size": 16}}
NEAR = ("houlsby", "pfeiffer", "parallel")  # start near the identity; the others start as it


@pytest.fixture(scope="module", params=MODEL_TYPES)
def any_backbone(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Backbone:
    """A tiny backbone of each architecture in turn."""
    place = tmp_path_factory.mktemp("architectures") / request.param
    return load_backbone(str(make_backbone(place, request.param)))


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    """Each method in turn."""
    return str(request.param)


def classes(count: int) -> Definition:
    """Return a task of so many classes."""
    return Definition(tuple("abcdefgh"[:count]))


def options_of(method: str) -> dict[str, Any]:
    """Return small complete options of a method."""
    found: dict[str, Any] = plugins.load("methods", method).complete(OPTIONS.get(method, {}))
    return found


def inputs_of(backbone: Backbone) -> Batch:
    """Return a batch of eight sentences."""
    texts = [row["text"] for row in sentences(8)]
    return encode(backbone.tokenizer, {"text": texts}, ("text",), 32).batch(np.arange(8))


@torch.no_grad()
def vectors_of(backbone: Backbone, model: TaskModel | None = None) -> torch.Tensor:
    """Return the vectors of the batch, of the bare backbone or as a task adapts it."""
    inputs = inputs_of(backbone)
    parts = (Part(len(inputs), model.adaptation if model else None),)
    return compute(backbone, inputs, parts).vectors


def frozen_state(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return a copy of every tensor of a backbone."""
    return {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}


def steps(model: TaskModel, inputs: Batch, count: int = 3) -> None:
    """Train a model for some steps."""
    torch.manual_seed(0)  # dropout
    model.train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.01)
    told = {"targets": torch.arange(8) % 3}
    for _ in range(count):
        optimizer.zero_grad()
        SINGLE.loss(model.outputs(inputs), told, None).backward()
        optimizer.step()
    model.eval()


@pytest.fixture
def plain(any_backbone: Backbone) -> Iterator[torch.Tensor]:
    """The bare backbone's vectors of the batch; checked to be the same bits afterwards."""
    before = frozen_state(any_backbone)
    modules = {name: id(module) for name, module in any_backbone.model.named_modules()}
    vectors = vectors_of(any_backbone)
    yield vectors
    after = any_backbone.model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert modules == {name: id(module) for name, module in any_backbone.model.named_modules()}
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    assert not any(getattr(m, h) for m in any_backbone.model.modules() for h in hooks)
    assert not any("forward" in vars(m) for m in any_backbone.model.modules())
    assert not any(p.requires_grad for p in any_backbone.model.parameters())
    assert torch.equal(vectors_of(any_backbone), vectors)


def test_training_moves_what_is_stored_and_no_bit_of_the_backbone(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """Three steps change every stored tensor, none of the frozen ones, and taking the task off
    restores modules, hooks and outputs exactly (checked by the fixture)."""
    model = task_model(any_backbone, SINGLE, classes(3), method, options_of(method), seed=0)
    before = {name: tensor.clone() for name, tensor in model.trained().items()}
    own = {tensor.data_ptr() for tensor in model.trained().values()}
    frozen = {
        n: t.clone() for n, t in model.encoder.state_dict().items() if t.data_ptr() not in own
    }
    steps(model, inputs_of(any_backbone))
    unmoved = [n for n, t in model.trained().items() if torch.equal(t, before[n])]
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
    data = save({name: t.contiguous() for name, t in model.trained().items()})
    with torch.no_grad():
        expected = model.outputs(inputs)
    model = task_model(any_backbone, SINGLE, classes(3), method, options_of(method), seed=1)
    model.load_trained(load(data))
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
        starts.append(save({n: t.contiguous() for n, t in model.trained().items()}))
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
    tensors = {name: torch.ones_like(tensor) for name, tensor in model.trained().items()}
    if change == "missing":
        del tensors["head.bias"]
    elif change == "unexpected":
        tensors["head.other"] = torch.zeros(1)
    elif change == "shape":
        tensors["head.bias"] = torch.ones(3)
    else:
        tensors["head.bias"] = torch.ones(2, dtype=torch.float64)
    with pytest.raises(DamagedError, match=r"head\."):
        model.load_trained(tensors)
    assert not torch.equal(model.trained()["head.weight"], tensors["head.weight"])


def test_a_head_on_tokens_is_trained_as_one_on_texts_is(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """A kind that labels words has outputs for every token, and the method adapts what it reads."""
    inputs = inputs_of(any_backbone)
    model = task_model(any_backbone, TAGGING, classes(3), method, options_of(method), 0)
    model.eval()
    parts = (Part(len(inputs), model.adaptation),)
    with torch.no_grad():
        states = compute(any_backbone, inputs, parts).states
        expected = states @ model.head.weight.T + model.head.bias
        torch.testing.assert_close(model.outputs(inputs), expected)
    assert states.shape == (*inputs.input_ids.shape, 32)
    told = {"targets": inputs.padded(inputs.input_ids % 3 + 1)}
    TAGGING.loss(inputs.padded(model.outputs(inputs)), told, None).backward()
    trained = [p for p in model.adapted.parameters() if p.requires_grad]
    assert any(p.grad is not None and p.grad.any() for p in trained)


def test_houlsby_trains_what_the_papers_formula_says(any_backbone: Backbone) -> None:
    """Two adapters of 2md + d + m a layer, every LayerNorm, and the head: nothing else."""
    d, m, layers, labels = 32, 4, 2, 3
    norms = [mod for mod in any_backbone.model.modules() if isinstance(mod, torch.nn.LayerNorm)]
    expected = (
        layers * 2 * (2 * m * d + d + m)
        + sum(p.numel() for norm in norms for p in norm.parameters())
        + labels * d
        + labels
    )
    options = HOULSBY.complete({"size": m})
    model = task_model(any_backbone, SINGLE, classes(labels), "houlsby", options, seed=0)
    assert sum(t.numel() for t in model.trained().values()) == expected
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == expected


PLACES = {
    "bert": ("attention.output.LayerNorm", "output.LayerNorm"),
    "distilbert": ("sa_layer_norm", "output_layer_norm"),
    "modernbert": ("mlp_norm", None),
}
for same in ("roberta", "electra", "deberta-v2"):
    PLACES[same] = PLACES["bert"]


def test_houlsby_adapters_sit_before_the_residual_and_the_layernorm(
    any_backbone: Backbone,
) -> None:
    """An adapter that adds a constant to a sublayer moves what is added to the residual by just
    that constant: the input of the next LayerNorm, seen from outside, and no other."""
    after_attention, after_ffn = PLACES[any_backbone.identity.model_type]
    layer = any_backbone.model.get_submodule(any_backbone.layer(0))
    constant = torch.linspace(-1, 1, 32)

    def residual_sums(add: str | None) -> dict[str, torch.Tensor]:
        options = HOULSBY.complete({"size": 4, "init_std": 1e-20})
        model = task_model(any_backbone, SINGLE, classes(2), "houlsby", options, seed=0)
        model.eval()
        if add is not None:
            model.trained()[f"adapter.0.{add}.up.bias"].copy_(constant)
        seen: dict[str, torch.Tensor] = {}
        hooks = []
        for place, name in (("attention", after_attention), ("feed_forward", after_ffn)):
            if name is not None:
                hooks.append(
                    layer.get_submodule(name).register_forward_pre_hook(
                        lambda _m, args, place=place: seen.__setitem__(place, args[0])
                    )
                )
        if after_ffn is None:  # a pre-norm layer gives the residual sum itself
            hooks.append(
                layer.register_forward_hook(
                    lambda _m, _i, out: seen.__setitem__("feed_forward", out)
                )
            )
        vectors_of(any_backbone, model)
        for hook in hooks:
            hook.remove()
        return seen

    bare, attention, ffn = (residual_sums(add) for add in (None, "attention", "feed_forward"))
    torch.testing.assert_close(
        attention["attention"] - bare["attention"], constant.expand_as(bare["attention"])
    )
    torch.testing.assert_close(ffn["attention"], bare["attention"])
    torch.testing.assert_close(
        ffn["feed_forward"] - bare["feed_forward"], constant.expand_as(bare["feed_forward"])
    )


def test_an_adapter_computes_what_figure_2_draws() -> None:
    """The output is x + up(gelu(down(x))), computed here by hand."""
    adapter = Adapter(
        6, HOULSBY.complete({"size": 3, "init_std": 0.5}), torch.Generator().manual_seed(0)
    )
    x = torch.randn(2, 5, 6)
    down = x @ adapter.down.weight.T + adapter.down.bias
    inner = 0.5 * down * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (down + 0.044715 * down**3)))
    torch.testing.assert_close(adapter(x), x + inner @ adapter.up.weight.T + adapter.up.bias)


def test_the_start_is_a_normal_cut_at_two_standard_deviations() -> None:
    """Weights have the spread that was asked for and none lies beyond two of it; biases are 0."""
    adapter = Adapter(256, HOULSBY.complete({}), torch.Generator().manual_seed(0))
    weights = torch.cat([adapter.down.weight.flatten(), adapter.up.weight.flatten()])
    assert weights.abs().max() <= 0.02
    # A normal cut at two standard deviations has 0.88 of its spread.
    assert weights.std().item() == pytest.approx(0.0088, rel=0.03)
    assert not adapter.down.bias.any()
    assert not adapter.up.bias.any()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": -4}, "size is -4"),
        ({"size": 8.0}, "size is 8.0"),
        ({"size": True}, "size is True"),
        ({"size": 10**9}, "size is 1000000000"),
        ({"init_std": 0}, "init_std is 0"),
        ({"init_std": "big"}, "init_std is 'big'"),
        ({"activation": "swish"}, "activation is 'swish'"),
        ({"rank": 4}, "no option 'rank'"),
    ],
)
def test_options_out_of_range_are_refused(given: dict[str, Any], says: str) -> None:
    """An option that is unknown or makes no sense is an error with its name and value."""
    with pytest.raises(InputError, match=says):
        HOULSBY.complete(given)


def test_heads_of_different_sizes_come_and_go_on_one_backbone(backbone: Backbone) -> None:
    """Tasks of two and of seven labels give their own logits, in turn and again."""
    inputs = inputs_of(backbone)
    options = HOULSBY.complete({"size": 4})
    shapes = []
    for labels in (2, 7, 2):
        model = task_model(backbone, SINGLE, classes(labels), "houlsby", options, seed=0)
        shapes.append(model.outputs(inputs).shape[1])
    assert shapes == [2, 7, 2]


# Which layers


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("all", (0, 1, 2, 3, 4, 5)),
        ("top:2", (4, 5)),
        ("top:6", (0, 1, 2, 3, 4, 5)),
        ("0-2", (0, 1, 2)),
        ("1,3-4", (1, 3, 4)),
        ("5", (5,)),
        (5, (5,)),
        ("3,3", (3,)),
    ],
)
def test_layers_are_selected_as_written(selection: str, chosen: tuple[int, ...]) -> None:
    """Every way to write a selection means the layers that it says, from 0."""
    assert select_layers(check_layers("layers", selection), 6) == chosen


@pytest.mark.parametrize(
    "selection", ["", "top:0", "top:-1", "2-1", "a", "1,", "-1", "top", 1.0, None]
)
def test_a_selection_that_cannot_be_read_is_refused(selection: Any) -> None:
    """What is no selection is an error that shows it and says how to write one."""
    with pytest.raises(InputError, match="write all, top:3"):
        check_layers("layers", selection)


@pytest.mark.parametrize("selection", ["top:3", "2", "0-2"])
def test_layers_that_are_not_there_are_named(
    backbone: Backbone, method: str, selection: str
) -> None:
    """A layer that the backbone does not have is an error, and the backbone stays as it was."""
    options = plugins.load("methods", method).complete({"layers": selection})
    with pytest.raises(InputError, match="the backbone has 2 layers, 0 to 1"):
        task_model(backbone, SINGLE, classes(2), method, options, seed=0)


def test_what_lies_below_the_lowest_adapted_layer_is_the_same_for_every_task(
    any_backbone: Backbone, method: str, plain: torch.Tensor
) -> None:
    """With only the top layer adapted, a trained task gives the top layer exactly the input
    that the bare backbone gives it."""
    top = any_backbone.model.get_submodule(any_backbone.layer(1))
    seen: list[torch.Tensor] = []

    def look(model: TaskModel | None = None) -> torch.Tensor:
        hook = top.register_forward_pre_hook(lambda _m, args: seen.append(args[0].clone()))
        vectors = vectors_of(any_backbone, model)
        hook.remove()
        return vectors

    look()
    options = plugins.load("methods", method).complete(
        OPTIONS.get(method, {}) | {"layers": "top:1"}
    )
    model = task_model(any_backbone, SINGLE, classes(3), method, options, seed=0)
    assert model.adaptation.lowest == 1
    steps(model, inputs_of(any_backbone))
    seen[1:] = []
    assert not torch.equal(look(model), plain)
    assert torch.equal(seen[0], seen[1])


def test_all_layers_are_the_same_task_however_they_are_written(
    backbone: Backbone, method: str
) -> None:
    """`all`, `top:N` and `0-M` train the same tensors from the same start."""
    starts = []
    for selection in ("all", "top:2", "0-1"):
        options = plugins.load("methods", method).complete(
            OPTIONS.get(method, {}) | {"layers": selection}
        )
        model = task_model(backbone, SINGLE, classes(2), method, options, seed=0)
        starts.append(save({n: t.contiguous() for n, t in model.trained().items()}))
    assert starts[0] == starts[1] == starts[2]


def test_full_trains_everything_and_top_k_the_top(backbone: Backbone) -> None:
    """Full fine-tuning trains as many parameters as the backbone and the head have; the top
    layer alone a layer's."""
    head = 2 * 32 + 2
    counts = {}
    for method, options in (("full", {}), ("top-k", {"layers": "top:1"})):
        model = task_model(backbone, SINGLE, classes(2), method, options, seed=0)
        counts[method] = sum(t.numel() for t in model.trained().values())
    layer = sum(p.numel() for p in backbone.model.get_submodule("encoder.layer.1").parameters())
    assert counts == {"full": backbone.identity.parameters + head, "top-k": layer + head}


def test_a_backbone_without_biases_is_refused_by_bitfit(tmp_path: Path) -> None:
    """ModernBERT as it is published has no bias: bitfit says so."""
    bare = load_backbone(str(make_backbone(tmp_path / "m", "modernbert", mlp_bias=False)))
    with pytest.raises(InputError, match="has none"):
        task_model(bare, SINGLE, classes(2), "bitfit", {}, seed=0)
