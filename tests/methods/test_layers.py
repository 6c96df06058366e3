"""Selections of layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import save

from taskbank import plugins
from taskbank.backbone.backbone import Backbone
from taskbank.errors import InputError
from taskbank.kinds.single import SINGLE
from taskbank.methods.layers import check_layers, select_layers
from taskbank.model.task_model import TaskModel, task_model
from tests.helpers.models import METHODS_WITH_LAYERS, OPTIONS, classes, inputs_of, steps, vectors_of


@pytest.fixture(params=METHODS_WITH_LAYERS)
def method(request: pytest.FixtureRequest) -> str:
    """Each method that adapts layers in turn."""
    return str(request.param)


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
    assert model.adaptation.lowest_layer == 1
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
        starts.append(save({n: t.contiguous() for n, t in model.trained_tensors().items()}))
    assert starts[0] == starts[1] == starts[2]
