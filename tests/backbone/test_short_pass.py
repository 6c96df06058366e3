"""A pass of fewer calls gives the bits of the model's own, and gives way where it must."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.backbone.forward import BackboneOutput, run_backbone, trunk_states
from taskbank.backbone.hooks import Part
from taskbank.backbone.load import load_backbone
from taskbank.backbone.short_pass import OnePass
from taskbank.data.packed import join_batches
from tests.helpers.backbones import make_backbone
from tests.helpers.models import METHODS_WITH_LAYERS, batch_of, moved

SHORT = ("bert", "roberta", "electra")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the short pass is used."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the short pass was used")

    monkeypatch.setattr(OnePass, "__call__", refuse)


def by_the_model_itself(backbone: Backbone, compute: Any) -> Any:
    """Return what is computed without the short pass."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbone, "short_pass", None)
        return compute()


def check(backbone: Backbone, compute: Any) -> None:
    """Raise unless a computation gives the same bits with the short pass and without."""
    found, expected = compute(), by_the_model_itself(backbone, compute)
    if isinstance(found, BackboneOutput):
        assert torch.equal(found.vectors, expected.vectors)
        found, expected = found.states, expected.states
    assert torch.equal(found, expected)


def test_models_that_are_built_as_bert_have_one(any_backbone: Backbone) -> None:
    """The other architectures are computed by transformers alone."""
    assert (any_backbone.short_pass is not None) == (any_backbone.identity.model_type in SHORT)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 9])
def test_it_gives_the_bits_of_the_model_with_every_method(
    any_backbone: Backbone, count: int
) -> None:
    """One text and several, bare and adapted, from the first layer and from a higher one."""
    if any_backbone.short_pass is None:
        pytest.skip("transformers computes it alone")
    batch = batch_of(any_backbone, count)
    check(any_backbone, lambda: run_backbone(any_backbone, batch, ()))
    check(any_backbone, lambda: trunk_states(any_backbone, batch, 1))
    for method in plugins.names("methods"):
        whole: dict[str, Any] = {}
        has_top = method in METHODS_WITH_LAYERS and method != "full"
        for options in (whole, {"layers": "top:1"}) if has_top else (whole,):
            model = moved(any_backbone, method, 0, **options)
            parts = [Part(count, model.adaptation)]
            check(any_backbone, lambda parts=parts: run_backbone(any_backbone, batch, parts))


@torch.no_grad()
def test_it_gives_the_bits_of_the_model_for_rows_of_several_tasks(backbone: Backbone) -> None:
    """Rows of two methods and bare ones share a batch."""
    batches = [batch_of(backbone, 2, number) for number in range(3)]
    models = [moved(backbone, "houlsby", 0), moved(backbone, "lora", 1)]
    parts = [Part(2, models[0].adaptation), Part(2), Part(2, models[1].adaptation)]
    check(backbone, lambda: run_backbone(backbone, join_batches(batches), parts))


@torch.no_grad()
def test_a_pooler_is_computed_too(tmp_path: Path) -> None:
    """Of a model whose vectors its pooler makes."""
    backbone = load_backbone(str(make_backbone(tmp_path / "m")))
    assert backbone.identity.pooling == "pooler"
    assert backbone.short_pass is not None
    check(backbone, lambda: run_backbone(backbone, batch_of(backbone), ()))


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    "path", ["encoder.layer.1.attention", "encoder.layer.0.intermediate", "encoder"]
)
def test_hooks_on_modules_that_it_does_not_call_are_called(backbone: Backbone, path: str) -> None:
    """Whoever watches or changes a module with hooks of torch gets the model's own pass."""
    seen = []
    hook = backbone.model.get_submodule(path).register_forward_hook(lambda *_: seen.append(1))
    run_backbone(backbone, batch_of(backbone), ())
    hook.remove()
    assert seen == [1]


@pytest.mark.usefixtures("refused")
def test_changes_of_modules_that_it_does_not_call_are_made(backbone: Backbone) -> None:
    """A method may change any module."""
    from taskbank.backbone.adaptation import Adaptation

    adaptation = Adaptation(backbone)
    adaptation.change_output("encoder.layer.0.intermediate", lambda _, output: 0 * output)
    output = run_backbone(backbone, batch_of(backbone), [Part(9, adaptation)])
    bare = by_the_model_itself(backbone, lambda: run_backbone(backbone, batch_of(backbone), ()))
    assert not torch.allclose(output.states, bare.states)


@pytest.mark.usefixtures("refused")
def test_training_has_dropout(backbone: Backbone) -> None:
    """The short pass has none, and a training does not use it."""
    run_backbone(backbone, batch_of(backbone), (), training=True)


def test_a_model_that_computes_otherwise_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last bit of a test pass decides."""
    folder = str(make_backbone(tmp_path / "m"))
    from transformers.models.bert.modeling_bert import BertIntermediate

    original = BertIntermediate.forward
    monkeypatch.setattr(
        BertIntermediate, "forward", lambda self, states: original(self, states) * (1 + 1e-6)
    )
    assert load_backbone(folder).short_pass is None


def test_threads_compute_different_tasks_at_the_same_time(backbone: Backbone) -> None:
    """While a training shadows the model's modules, and other passes run, each gets its own."""
    models = [moved(backbone, "houlsby", 0), moved(backbone, "parallel", 1)]

    def passes(number: int, count: int) -> list[torch.Tensor]:
        batch, parts = batch_of(backbone, 3, number), [Part(3, models[number % 2].adaptation)]
        with torch.no_grad():
            return [run_backbone(backbone, batch, parts).states for _ in range(count)]

    def train() -> None:
        for _ in range(25):
            parts = [Part(3, models[0].adaptation)]
            run_backbone(backbone, batch_of(backbone, 3), parts, training=True)

    expected = [passes(number, 1)[0] for number in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor() as threads:
            training = threads.submit(train)
            found = list(threads.map(passes, range(4), [50] * 4))
            training.result()
    finally:
        sys.setswitchinterval(before)
    for own, wanted in zip(found, expected, strict=True):
        assert all(torch.equal(one, wanted) for one in own)
