"""A batch that does not fit into a GPU's memory is split and tried again, once, and said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from taskbank.backbone.backbone import Backbone
from taskbank.data.packed import Batch
from taskbank.errors import InputError
from taskbank.kinds.single import SINGLE
from taskbank.model.predict import predict_outputs
from taskbank.model.task_model import TaskModel, task_model
from taskbank.runtime.out_of_memory import compute_in_halves
from taskbank.specs import TrainingSpec
from taskbank.training.loop import train
from tests.helpers.models import MOOD, data_of

ROWS = np.arange(5)


def fitting(most: int) -> Callable[[np.ndarray], int]:
    """Return what can compute so many rows at once, and gives how many they are."""

    def compute(rows: np.ndarray) -> int:
        if len(rows) > most:
            raise torch.OutOfMemoryError
        return len(rows)

    return compute


def test_what_fits_is_computed_at_once() -> None:
    """A batch that fits is one piece, and nothing is said or taken back."""
    ((rows, found),) = compute_in_halves(ROWS, fitting(5), undo=lambda: pytest.fail("undone"))
    assert (rows.tolist(), found) == ([0, 1, 2, 3, 4], 5)


def test_what_does_not_fit_is_computed_in_halves() -> None:
    """Both halves are computed, in their order, after what was left has been taken back."""
    undone: list[int] = []
    with pytest.warns(UserWarning, match="a batch of 5 inputs does not fit .* in halves"):
        found = compute_in_halves(ROWS, fitting(3), undo=lambda: undone.append(1))
    assert [(rows.tolist(), count) for rows, count in found] == [([0, 1], 2), ([2, 3, 4], 3)]
    assert undone == [1]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1]])
@pytest.mark.filterwarnings("ignore:a batch of")
def test_what_does_not_fit_in_halves_is_an_error(rows: np.ndarray) -> None:
    """It is tried again once; then the error says what to do."""
    with pytest.raises(
        InputError, match=r"memory is too small for a batch of .* smaller --batch-size"
    ):
        compute_in_halves(rows, fitting(0))


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no model compute more than six inputs at once."""
    real = TaskModel.outputs

    def outputs(model: TaskModel, batch: Batch) -> torch.Tensor:
        if len(batch) > 6:
            raise torch.OutOfMemoryError
        return real(model, batch)

    monkeypatch.setattr(TaskModel, "outputs", outputs)


@pytest.mark.usefixtures("_small")
@pytest.mark.filterwarnings("ignore:a batch of")
def test_predictions_in_halves_are_the_same(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every input has its outputs, those of a larger memory but for rounding."""
    model = task_model(backbone, SINGLE, MOOD, "houlsby", {"size": 4}, 0)
    encoded = data_of(backbone, 23, 1).encoded
    halved = predict_outputs(model, encoded, batch_size=10)
    monkeypatch.undo()
    np.testing.assert_allclose(halved, predict_outputs(model, encoded), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("_small")
@pytest.mark.filterwarnings("ignore:a batch of")
def test_a_training_in_halves_learns_the_same(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout, an adapter trained in halves is that of a larger memory but for rounding."""

    def trained() -> dict[str, torch.Tensor]:
        model = task_model(backbone, SINGLE, MOOD, "houlsby", {"size": 4}, 0)
        monkeypatch.setattr(model, "train", lambda _=True: None)
        torch.nn.Module.train(model, mode=False)
        data, validation = data_of(backbone, 31, 1), data_of(backbone, 8, 2)
        spec = TrainingSpec(epochs=2, batch_size=10)
        train(model, SINGLE, MOOD, data, validation, spec, "accuracy")
        return {name: tensor.clone() for name, tensor in model.trained_tensors().items()}

    halved = trained()
    monkeypatch.undo()
    for name, tensor in trained().items():
        torch.testing.assert_close(halved[name], tensor, rtol=1e-3, atol=1e-4)
