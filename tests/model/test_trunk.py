"""What lies below the adapted layers is computed once, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from taskbank.backbone.backbone import TRUNK_MEMORY, Backbone
from taskbank.kinds.single import SINGLE
from taskbank.model import trunk
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import task_model
from taskbank.model.trunk import add_trunk_states
from taskbank.runtime import disk_cache as cache
from taskbank.runtime.disk_cache import cache_folder
from taskbank.runtime.lru import LruCache
from taskbank.specs import TrainingSpec
from taskbank.training.loop import train
from taskbank.verify.noise import use_threads
from tests.helpers.models import MOOD, data_of

OPTIONS = {"size": 4, "layers": "top:1"}


def counted(backbone: Backbone) -> tuple[list[int], Any]:
    """Return a list that grows whenever the lowest layer is computed, and its hook."""
    calls: list[int] = []
    layer = backbone.model.get_submodule("encoder.layer.0.attention")
    return calls, layer.register_forward_pre_hook(lambda *_: calls.append(1))


def forget(backbone: Backbone) -> None:
    """Let no states be in memory."""
    backbone.trunk_states = LruCache(TRUNK_MEMORY, lambda states: states.nbytes)


@pytest.fixture(autouse=True)
def _nothing_remembered(backbone: Backbone) -> None:
    """Begin without states in memory."""
    forget(backbone)


def test_layers_below_are_computed_once_and_not_in_every_epoch(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs pass through the lowest layer as often as one does."""
    found = []
    for epochs in (1, 3):
        forget(backbone)
        cache.clear(["states"])
        model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
        data, validation = data_of(backbone, 40, 1), data_of(backbone, 8, 2)
        calls, hook = counted(backbone)
        train(model, SINGLE, MOOD, data, validation, TrainingSpec(epochs=epochs), "accuracy")
        hook.remove()
        found.append(len(calls))
    assert found[0] == found[1] > 0


def test_predictions_have_the_same_bits_with_and_without(backbone: Backbone) -> None:
    """In the batches of an evaluation, states that were kept give what is computed anew."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
    encoded = data_of(backbone, 150, 1).encoded
    kept = add_trunk_states(model, encoded)
    assert kept.states is not None
    assert (predict_outputs(model, kept) == predict_outputs(model, encoded)).all()


def test_a_task_that_adapts_every_layer_has_no_trunk(backbone: Backbone) -> None:
    """Nothing is kept where nothing lies below."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", {"size": 4}, 0)
    encoded = data_of(backbone, 8, 1).encoded
    assert add_trunk_states(model, encoded) is encoded


def trained(backbone: Backbone, precision: str | None = None) -> dict[str, torch.Tensor]:
    """Return what a training of two epochs gives."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
    data, validation = data_of(backbone, 40, 1), data_of(backbone, 8, 2)
    spec = TrainingSpec(epochs=2, precision=precision)
    train(model, SINGLE, MOOD, data, validation, spec, "accuracy")
    return {name: tensor.clone() for name, tensor in model.trained_tensors().items()}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Raise unless two trainings gave the same to the last bit."""
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)


@pytest.mark.slow
def test_states_serve_the_next_training_from_memory_and_from_the_cache(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same adapter comes of states computed, remembered, read and mapped; only the first of
    these passes through the lowest layer."""
    calls, hook = counted(backbone)
    first, computed = trained(backbone), len(calls)
    assert_same(trained(backbone), first)  # from memory
    forget(backbone)
    assert_same(trained(backbone), first)  # from the cache
    monkeypatch.setattr(trunk, "TRUNK_MEMORY", 0)
    forget(backbone)
    assert_same(trained(backbone), first)
    assert len(calls) == computed
    assert cache.clear(["states"])[0].files == 2  # of train and of validation
    assert_same(trained(backbone), first)  # written as they are computed, and mapped
    hook.remove()
    assert len(calls) == 2 * computed


@pytest.mark.parametrize("how", ["truncated", "read-only", "full"])
def test_a_cache_that_fails_costs_time_and_not_the_result(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    """With a damaged file, or nowhere to write, it is said and the adapter is the same."""
    first = trained(backbone)
    forget(backbone)
    monkeypatch.setattr(cache, "_UNWRITABLE", set())
    if how == "truncated":
        for path in (cache_folder() / "states").iterdir():
            path.write_bytes(path.read_bytes()[:-4])
    elif how == "read-only":
        (tmp_path / "file").write_text("not a folder")
        monkeypatch.setenv(cache.CACHE, str(tmp_path / "file"))
    else:
        cache.clear(["states"])
        monkeypatch.setattr(Path, "replace", _full)
    with pytest.warns(
        UserWarning, match="will be recomputed" if how == "truncated" else "nothing is cached"
    ):
        assert_same(trained(backbone), first)


def _full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("what", ["texts", "threads"])
def test_other_states_are_not_taken_for_these(backbone: Backbone, what: str) -> None:
    """Other texts, or another number of threads, have states of their own; so has another layer."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", OPTIONS, 0)
    encoded = data_of(backbone, 20, 1).encoded
    add_trunk_states(model, encoded)
    assert trunk._key(backbone, encoded, 0) != trunk._key(backbone, encoded, 1)
    if what == "texts":
        encoded = data_of(backbone, 20, 2).encoded
    with use_threads(2 if what == "threads" else 1):
        add_trunk_states(model, encoded)
    assert cache.contents()[1].files == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_fits_neither_into_memory_nor_into_the_cache_is_computed_anew(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """A training that keeps nothing gives the same adapter but for rounding: dropout is off below
    in both."""
    kept = trained(backbone, precision)
    forget(backbone)
    monkeypatch.setattr(trunk, "TRUNK_MEMORY", 0)
    monkeypatch.setenv(cache.LIMIT, "0")
    cache.clear(["states"])
    anew = trained(backbone, precision)
    for name, tensor in kept.items():
        torch.testing.assert_close(tensor, anew[name], rtol=1e-2, atol=1e-4)
